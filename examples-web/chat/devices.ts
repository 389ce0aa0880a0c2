// This person's devices.

import type { Device } from "@mimi-edge/client";
import { html, nothing, type TemplateResult } from "lit";
import { actionButton } from "./forms.js";
import type { ChatPane } from "./pane.js";

/** The devices that the provider knows, and the way to another one. */
export function devicesView(pane: ChatPane, devices: readonly Device[]): TemplateResult {
  const revoke = (device: Device): void => {
    void pane.act(async (client) => {
      await client.revokeDevice(device.uri);
      return "The device is shut out.";
    });
  };
  return html`
    <details class="menu">
      <summary>Devices</summary>
      <ul class="people" aria-label="Your devices">
        ${devices.map((device) => html`
          <li>
            <span><bdi>…/${device.uri.slice(device.uri.lastIndexOf("/") + 1)}</bdi>${device.current ? html` <span class="quiet">this one</span>` : nothing}</span>
            ${device.current ? nothing : actionButton("Shut out", () => { revoke(device); }, { name: `Shut out the device ${device.uri}` })}
          </li>`)}
      </ul>
      <p>${actionButton("Look for rooms", () => { void pane.act(async (client) => { await client.findRooms(); return undefined; }); })}</p>
      ${pane.second ? nothing : html`<p>${actionButton("Open a second device", () => { pane.dispatchEvent(new CustomEvent("second-device", { bubbles: true })); })}</p>`}
    </details>
  `;
}
