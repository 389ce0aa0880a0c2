// How safe a room is.

import type { Room } from "@mimi-edge/client";
import { html, nothing, type TemplateResult } from "lit";
import { View } from "./glue.js";
import { day } from "./words.js";

class Security extends View {
  static override properties = { ...View.properties, room: { attribute: false } };
  declare room: Room;

  protected override render(): TemplateResult {
    const { keyPackages } = this.session.client;
    const { published, lastResort, nextExpiry } = this.watch.use(keyPackages.stock);
    return html`
      <section aria-labelledby="security">
        <h2 id="security">Security</h2>
        <dl class="facts">
          <div><dt>KeyPackages</dt><dd>${published} published, ${lastResort ? "a last resort" : "no last resort"}${nextExpiry === undefined ? nothing : `, the first until ${day(nextExpiry)}`}</dd></div>
        </dl>
      </section>`;
  }
}

customElements.define("chat-security", Security);
