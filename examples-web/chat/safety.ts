// The safety number of two people: both see the same one when nobody stands between them.

import type { SafetyNumber } from "@mimi-edge/client";
import { html, type TemplateResult } from "lit";
import { actionButton } from "./forms.js";
import { View } from "./glue.js";
import { qrCode } from "./qr.js";
import { nameOf } from "./words.js";

class Safety extends View {
  static override properties = { ...View.properties, number: { attribute: false } };
  declare number: SafetyNumber;
  /** Which group is read, when they are read one by one. */
  #slow: number | undefined;

  protected override render(): TemplateResult {
    const { user, digits, qr } = this.number;
    const groups = digits.split(" ");
    const slowly = (): void => { this.#read(this.#slow === undefined ? 0 : undefined); };
    return html`
      <dialog aria-labelledby="safety-title" @close=${() => { this.session.compared.set(undefined); }}>
        <form method="dialog">
          <h2 id="safety-title">Safety number with <bdi>${user}</bdi></h2>
          <p>Compare it over a call or face to face. ${nameOf(user)} sees the same number when nobody stands between you.</p>
          ${this.#slow === undefined
            ? html`<ol class="number" aria-label="Safety number, ${groups.length} groups">${groups.map((group) => html`<li>${group}</li>`)}</ol>`
            : this.#one(groups, this.#slow)}
          <p class="buttons"><button type="button" aria-pressed=${this.#slow === undefined ? "false" : "true"} @click=${slowly}>Read slowly</button></p>
          ${qrCode(qr, `QR code of the number ${digits}`)}
          <p class="buttons">
            <button @click=${() => { void this.#match(); }}>They match</button>
            <button @click=${() => { void this.#differ(); }}>They do not match</button>
            <button>Later</button>
          </p>
        </form>
      </dialog>`;
  }

  #one(groups: readonly string[], at: number): TemplateResult {
    return html`
      <div class="row slow">
        <p role="status"><span class="quiet">Group ${at + 1} of ${groups.length}:</span> <strong>${[...(groups[at] ?? "")].join(" ")}</strong></p>
        ${actionButton("Next", () => { this.#read((at + 1) % groups.length); })}
      </div>`;
  }

  #read(slow: number | undefined): void {
    this.#slow = slow;
    this.requestUpdate();
  }

  async #match(): Promise<void> {
    const { session, number } = this;
    await session.act(async () => {
      await number.confirm();
      return `${number.user} is verified.`;
    }, { conflict: `The devices of ${number.user} changed while you compared. Compare once more.` });
  }

  async #differ(): Promise<void> {
    const { session, number: { user } } = this;
    if (await session.act(async ({ verification }) => { await verification.set(user, false); return undefined; })) {
      session.say({ kind: "alert", text: `The numbers differ: somebody may stand between you and ${user}. Say nothing secret here, and compare once more in person.` });
    }
  }

  protected override firstUpdated(): void { this.querySelector("dialog")?.showModal(); }
}

customElements.define("chat-safety", Safety);
