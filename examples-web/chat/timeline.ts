// The messages of a room. The list itself is silent: what comes in is read out by a log of its own, so that
// neither older messages nor a message's state are.

import type { Message, Room } from "@mimi-edge/client";
import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { actionButton } from "./forms.js";
import { View, remember, rove, settle } from "./glue.js";
import type { Note } from "./log.js";
import { clock, day, deliveryWords, domainOf, nameOf } from "./words.js";

/** So many received messages are kept for a screen reader. */
const HEARD = 20;
/** This near to its end, in pixels, counts as the end. */
const NEAR = 24;

type Entry = { readonly key: string } & ({ readonly message: Message } | { readonly note: Note } | { readonly day: string });

class Timeline extends View {
  static override properties = { ...View.properties, room: { attribute: false } };
  declare room: Room;
  readonly #heard: Message[] = [];
  /** The message whose menu is open. */
  #open: Message | undefined;
  #listening = new AbortController();
  #first: string | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    this.session.client.addEventListener("message", ({ detail }) => { this.#hear(detail); }, { signal });
    document.addEventListener("visibilitychange", () => { this.requestUpdate(); }, { signal });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#listening.abort();
  }

  #hear(message: Message): void {
    if (message.room !== this.room.uri || message.mine) return;
    this.#heard.push(message);
    this.#heard.splice(0, this.#heard.length - HEARD);
    this.requestUpdate();
  }

  protected override render(): TemplateResult {
    const log = this.session.log(this.room);
    const messages = this.watch.use(log.messages);
    const entries = entriesOf(messages, this.watch.use(log.notes));
    const { name } = this.watch.use(this.room.state);
    return html`
      <div class="scroll">
        ${this.watch.use(log.hasOlder) ? html`<p class="older">${actionButton("Earlier messages", () => { void this.session.act(async () => { await log.older(); return undefined; }); })}</p>` : nothing}
        <ol class="timeline" aria-label="Messages in ${name}" @keydown=${(event: KeyboardEvent) => { this.#key(event, messages); }} @focusin=${remember}>
          ${repeat(entries, ({ key }) => key, (entry) => this.#entry(entry))}
        </ol>
        ${entries.length === 0 ? html`<p class="quiet empty">Nothing was said yet. Messages are encrypted on this device, for the devices in the room.</p>` : nothing}
      </div>
      <div class="aside" role="log" aria-label="New messages">
        ${repeat(this.#heard, ({ key }) => key, (message) => html`<p><bdi>${nameOf(message.sender)}</bdi>, ${domainOf(message.sender)}: ${textOf(message)}</p>`)}
      </div>
      ${this.#open === undefined ? nothing : this.#menu(messages.find(({ key }) => key === this.#open?.key) ?? this.#open)}
    `;
  }

  /** Whoever reads the newest message goes on seeing the newest one; what comes before moves nothing. */
  protected override update(changed: PropertyValues<this>): void {
    const before = this.#scroll;
    const height = before?.scrollHeight ?? 0;
    const atEnd = before === null || height - before.scrollTop - before.clientHeight < NEAR;
    super.update(changed);
    const scroll = this.#scroll;
    const first = this.session.log(this.room).messages.get()[0]?.key;
    if (scroll && atEnd) scroll.scrollTop = scroll.scrollHeight;
    else if (scroll && first !== this.#first) scroll.scrollTop += scroll.scrollHeight - height;
    this.#first = first;
  }

  protected override updated(): void {
    settle(this.querySelector("ol"), (items) => items.at(-1));
    const { unread } = this.session.log(this.room);
    if (document.visibilityState === "visible" && unread.get() > 0) unread.set(0);
    const dialog = this.querySelector("dialog");
    if (dialog?.open === false) dialog.showModal();
  }

  get #scroll(): HTMLElement | null { return this.querySelector(".scroll"); }

  #key(event: KeyboardEvent, messages: readonly Message[]): void {
    rove(event);
    const key = event.target instanceof HTMLElement && event.key === "Enter" ? event.target.dataset["key"] : undefined;
    if (key === undefined) return;
    // Else the same key press would be the first thing that the menu hears.
    event.preventDefault();
    this.#show(messages.find((message) => message.key === key));
  }

  #show(message: Message | undefined): void {
    this.#open = message;
    this.requestUpdate();
  }

  #entry(entry: Entry): TemplateResult {
    if ("day" in entry) return html`<li class="note"><time>${entry.day}</time></li>`;
    if ("note" in entry) {
      const { who, what, epoch } = entry.note;
      return html`<li class="note" data-item tabindex="-1">${who.map((user, index) => html`${index > 0 ? ", " : nothing}<bdi>${user}</bdi>`)} ${what} · epoch ${String(epoch)}</li>`;
    }
    const { message } = entry;
    return html`
      <li class="message ${message.mine ? "mine" : "theirs"}" data-item data-key=${message.key} tabindex="-1">
        ${message.mine ? html`<span class="aside">You:</span>` : html`<span class="from"><bdi class="sender">${nameOf(message.sender)}</bdi> <span class="domain">${domainOf(message.sender)}</span></span>`}
        ${textOf(message)}
        <span class="delivery ${message.delivery.state}">${deliveryView(message)}
          <button type="button" class="more" tabindex="-1" aria-label="More about this message" @click=${() => { this.#show(message); }}>⋯</button></span>
      </li>
    `;
  }

  #menu(message: Message): TemplateResult {
    const { sender, device, epoch, position, delivery, text } = message;
    const copy = (): void => { void navigator.clipboard.writeText(text ?? "").then(() => { this.session.say({ kind: "status", text: "Copied." }); }); };
    return html`
      <dialog aria-labelledby="message-title" @close=${() => { this.#show(undefined); }}>
        <form method="dialog">
          <h2 id="message-title">Message of <bdi>${sender}</bdi></h2>
          <dl class="facts">
            <div><dt>State</dt><dd>${deliveryWords(delivery)[1]}</dd></div>
            <div><dt>Device</dt><dd><bdi>${device}</bdi></dd></div>
            ${epoch === undefined ? nothing : html`<div><dt>Epoch</dt><dd>${String(epoch)}</dd></div>`}
            ${position === undefined ? nothing : html`<div><dt>Place in the hub's order</dt><dd>${position}</dd></div>`}
          </dl>
          <p class="buttons"><button @click=${copy}>Copy text</button><button class="main">Close</button></p>
        </form>
      </dialog>`;
  }
}

/** Messages with a line for each day and for each time that somebody came or went. */
function entriesOf(messages: readonly Message[], notes: readonly Note[]): Entry[] {
  const noted = (after: string | undefined): Entry[] => notes.filter((note) => note.after === after).map((note) => ({ key: note.key, note }));
  let last: string | undefined;
  return [...noted(undefined), ...messages.flatMap((message): Entry[] => {
    const today = message.delivery.state === "accepted" ? day(message.delivery.at) : last;
    const begins = today !== undefined && today !== last;
    last = today;
    return [...(begins ? [{ key: `day ${today}`, day: today }] : []), { key: message.key, message }, ...noted(message.key)];
  })];
}

function textOf({ text }: Message): TemplateResult {
  return text === undefined ? html`<i>Something that is no text.</i>` : html`<bdi class="text">${text}</bdi>`;
}

function deliveryView({ mine, delivery }: Message): TemplateResult {
  if (!mine && delivery.state === "accepted") return html`<time datetime=${new Date(delivery.at).toISOString()}>${clock(delivery.at)}</time>`;
  const [icon, words] = deliveryWords(delivery);
  return html`<span aria-hidden="true">${icon}</span> <span>${words}</span>`;
}

customElements.define("chat-timeline", Timeline);
