// Where a message is written. Enter sends, Shift+Enter begins a line; the focus stays; each room keeps its draft.

import type { Room } from "@mimi-edge/client";
import { html, nothing, type TemplateResult } from "lit";
import { View } from "./glue.js";

class Composer extends View {
  static override properties = { ...View.properties, room: { attribute: false } };
  declare room: Room;

  protected override render(): TemplateResult {
    const state = this.watch.use(this.room.state);
    const cannot = !state.can("send");
    return html`
      <form class="composer" @submit=${(event: Event) => { event.preventDefault(); void this.#send(); }}>
        <label class="aside" for="message">Message to ${state.name}</label>
        <textarea id="message" rows="1" enterkeyhint="send" autocomplete="off" placeholder="Message ${state.name}" aria-describedby=${cannot ? "cannot-send" : "send-hint"}
          ?disabled=${cannot} @input=${() => { this.session.drafts.set(this.room.uri, this.#box?.value ?? ""); }} @keydown=${(event: KeyboardEvent) => { this.#key(event); }}></textarea>
        <button class="main" ?disabled=${cannot} aria-describedby=${cannot ? "cannot-send" : nothing}>Send</button>
        <p class="quiet hint" id="send-hint">Enter sends, Shift+Enter begins a new line</p>
      </form>
    `;
  }

  protected override firstUpdated(): void {
    if (this.#box) this.#box.value = this.session.drafts.get(this.room.uri) ?? "";
  }

  get #box(): HTMLTextAreaElement | null { return this.querySelector("textarea"); }

  #key(event: KeyboardEvent): void {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    void this.#send();
  }

  async #send(): Promise<void> {
    const box = this.#box;
    const text = box?.value ?? "";
    if (box === null || text.trim() === "") return;
    box.focus();
    this.#write("");
    const { room } = this;
    // A refusal is told by the message's own state.
    const done = await this.session.act(async () => { (await room.send(text)).accepted.catch(() => undefined); return undefined; });
    if (!done && box.value === "") this.#write(text);
  }

  #write(text: string): void {
    if (this.#box) this.#box.value = text;
    this.session.drafts.set(this.room.uri, text);
  }
}

customElements.define("chat-composer", Composer);
