// What is said when the provider cannot be reached, and while the device catches up.

import type { Sync } from "@mimi-edge/client";
import { html, nothing, type TemplateResult } from "lit";
import { actionButton } from "./forms.js";
import { View } from "./glue.js";
import { count } from "./words.js";

const SECOND = 1_000;

class Connection extends View {
  #clock: ReturnType<typeof setInterval> | undefined;
  #wasOffline = false;

  override connectedCallback(): void {
    super.connectedCallback();
    this.#clock = setInterval(() => { if (this.session.client.sync.get().state === "offline") this.requestUpdate(); }, SECOND);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.#clock);
  }

  protected override render(): TemplateResult {
    const sync = this.watch.use(this.session.client.sync);
    if (sync.state === "catching-up") {
      return html`
        <div class="connection" data-away>
          <label class="row">Catching up <progress value=${sync.done} max=${sync.total}></progress></label>
          <p>${Math.floor(sync.done)} of ${count(sync.total, "room")}</p>
        </div>`;
    }
    const isAway = sync.state !== "live";
    const rooms = this.watch.use(this.session.client.rooms);
    const waiting = rooms.reduce((sum, { state }) => sum + this.watch.use(state).waiting, 0);
    this.#wasOffline ||= sync.state === "offline";
    const said = this.#wasOffline ? (isAway ? offlineWords(waiting) : "Online again.") : "";
    if (!isAway) this.#wasOffline = false;
    return html`
      <div class="connection" ?data-away=${said !== "" && isAway}>
        <p role="status">${said}</p>
        ${said !== "" && isAway ? html`<p class="quiet">${nextTry(sync)}</p> ${actionButton("Try now", () => { this.#tryNow(); })}` : nothing}
      </div>
    `;
  }

  /** Who begins anew does not wait for the next turn. */
  #tryNow(): void {
    const { client } = this.session;
    client.pause();
    client.resume();
  }
}

function offlineWords(waiting: number): string {
  return `Offline.${waiting === 0 ? "" : ` ${count(waiting, "message")} ${waiting === 1 ? "waits" : "wait"} on this device.`}`;
}

/** Not part of what is read out: it changes every second. */
function nextTry(sync: Sync): string {
  if (sync.state !== "offline" || sync.retryAt === undefined) return "Trying now…";
  return `Next try in ${String(Math.max(0, Math.ceil((sync.retryAt - Date.now()) / SECOND)))} s.`;
}

customElements.define("chat-connection", Connection);
