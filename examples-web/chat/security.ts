// How safe a room is: the code of its epoch, and the KeyPackages with which others add this device.

import type { Client, Room } from "@mimi-edge/client";
import { html, nothing, type TemplateResult } from "lit";
import { actionButton } from "./forms.js";
import { View } from "./glue.js";
import { count, day } from "./words.js";

class Security extends View {
  static override properties = { ...View.properties, room: { attribute: false } };
  declare room: Room;
  #code: { readonly epoch: bigint; readonly digits: string } | undefined;

  protected override render(): TemplateResult {
    const { epoch } = this.watch.use(this.room.state);
    return html`
      <section aria-labelledby="security">
        <h2 id="security">Security</h2>
        <p>Code of epoch ${String(epoch)}: <strong class="code">${this.#code?.epoch === epoch ? this.#code.digits : "…"}</strong></p>
        <p class="quiet">It is the same on all devices that are in the room, until the next change.</p>
        ${this.#keyPackages()}
      </section>`;
  }

  #keyPackages(): TemplateResult {
    const { published, target, lastResort, nextExpiry } = this.watch.use(this.session.client.keyPackages.stock);
    const act = (what: (client: Client) => Promise<string>) => (): void => { void this.session.act(what); };
    return html`
      <p>KeyPackages: ${published} of ${target} published, ${lastResort ? "and one of last resort" : "none of last resort"}${nextExpiry === undefined ? nothing : `; the first is handed out until ${day(nextExpiry)}`}.</p>
      <p class="buttons">
        ${actionButton("Replenish", act(async (client) => `${count(await client.keyPackages.replenish(), "KeyPackage")} made.`))}
        ${actionButton("New last resort", act(async (client) => { await client.keyPackages.rotateLastResort(); return "There is a new KeyPackage of last resort."; }))}
      </p>`;
  }

  protected override updated(): void {
    const { epoch, phase } = this.room.state.get();
    if (this.#code?.epoch === epoch || phase === "creating" || phase === "joining") return;
    this.room.epochCode().then((digits) => {
      this.#code = { epoch, digits };
      this.requestUpdate();
    }, () => undefined);
  }
}

customElements.define("chat-security", Security);
