// Who may add this person to rooms, who asks for it.

import type { ConsentRequest, RoomUri, UserUri } from "@mimi-edge/client";
import { html, nothing, type TemplateResult } from "lit";
import { actionButton, addressForm } from "./forms.js";
import type { ChatPane } from "./pane.js";

/** Requests stand in the open: somebody waits for an answer. */
export function requestsView(pane: ChatPane, requests: readonly ConsentRequest[]): TemplateResult | typeof nothing {
  if (requests.length === 0) return nothing;
  const id = `${pane.key}-requests`;
  const answer = (act: () => Promise<void>, words: string): void => { void pane.act(async () => { await act(); return words; }); };
  return html`
    <section aria-labelledby=${id}>
      <h3 id=${id}>Requests</h3>
      <ul class="people">
        ${requests.map((request) => html`
          <li>
            <span><bdi>${request.from}</bdi> asks to add you${request.room === undefined ? nothing : html` to <bdi>${request.room}</bdi>`}</span>
            <span class="buttons">
              ${actionButton("Allow", () => { answer(request.grant, `${request.from} may add you.`); }, { name: `Allow ${request.from}` })}
              ${actionButton("Refuse", () => { answer(request.refuse, `${request.from} may not add you.`); }, { name: `Refuse ${request.from}` })}
            </span>
          </li>`)}
      </ul>
    </section>
  `;
}

/** Permissions that stand, and a form for more. */
export function permissionsView(pane: ChatPane, granted: readonly { readonly user: UserUri; readonly room?: RoomUri }[]): TemplateResult {
  return html`
    <details class="menu">
      <summary>Permissions</summary>
      ${granted.length === 0 ? nothing : html`
        <ul class="people" aria-label="Who may add you">
          ${granted.map(({ user, room }) => html`
            <li>
              <span><bdi>${user}</bdi> may add you${room === undefined ? nothing : html` to <bdi>${room}</bdi>`}</span>
              ${actionButton("Revoke", () => { void pane.refuse(user, room); }, { name: `Revoke the permission of ${user}${room === undefined ? "" : ` for ${room}`}` })}
            </li>`)}
        </ul>`}
      ${addressForm(`${pane.key}-consent`, "Person", "bob@bravo.example", [
        { button: "Ask", act: (text) => pane.ask(text) },
        { button: "Allow", act: (text) => pane.allow(text) },
        { button: "Refuse", act: (text) => pane.refuse(text) },
      ])}
    </details>
  `;
}

