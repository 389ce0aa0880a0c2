// The messages of a room. The list itself is silent: what comes in is read out by a log of its own, so that
// neither older messages nor a message's state are.

import type { Delivery, Message, Room, TimelineItem } from "@mimi-edge/client";
import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { actionButton } from "./forms.js";
import { View, remember, rove, settle } from "./glue.js";
import type { Note } from "./notes.js";
import { PAGE } from "./session.js";
import { clock, day, deliveryWords, domainOf, nameOf } from "./words.js";

/** So many received messages are kept for a screen reader. */
const HEARD = 20;
/** This near to its end, in pixels, counts as the end. */
const NEAR = 24;

type Entry = { readonly key: string } & ({ readonly item: TimelineItem } | { readonly note: Note } | { readonly day: string });

class Timeline extends View {
  static override properties = { ...View.properties, room: { attribute: false } };
  declare room: Room;
  readonly #heard: Message[] = [];
  /** Whether there may be older messages than those that are shown; undefined until they were asked for. */
  #hasOlder: boolean | undefined;
  /** The key of the message whose menu is open. */
  #open: string | undefined;
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
    const { timeline, notes } = this.session.past(this.room);
    const items = this.watch.use(timeline);
    const entries = entriesOf(items, this.watch.use(notes.all));
    const { name } = this.watch.use(this.room.state);
    const open = items.find(({ key }) => key === this.#open);
    return html`
      <div class="scroll">
        ${this.#hasOlder ?? items.length >= PAGE ? html`<p class="older">${actionButton("Earlier messages", () => { void this.#older(); })}</p>` : nothing}
        <ol class="timeline" aria-label="Messages in ${name}" @keydown=${(event: KeyboardEvent) => { this.#key(event); }} @focusin=${remember}>
          ${repeat(entries, ({ key }) => key, (entry) => this.#entry(entry))}
        </ol>
        ${entries.length === 0 ? html`<p class="quiet empty">Nothing was said yet. Messages are encrypted on this device, for the devices in the room.</p>` : nothing}
      </div>
      <div class="aside" role="log" aria-label="New messages">
        ${repeat(this.#heard, ({ key }) => key, (message) => html`<p><bdi>${nameOf(message.sender)}</bdi>, ${domainOf(message.sender)}: ${textOf(message)}</p>`)}
      </div>
      ${open?.problem === undefined && open !== undefined ? this.#menu(open) : nothing}
    `;
  }

  /** Whoever reads the newest message goes on seeing the newest one; what comes before moves nothing. */
  protected override update(changed: PropertyValues<this>): void {
    const before = this.#scroll;
    const height = before?.scrollHeight ?? 0;
    const atEnd = before === null || height - before.scrollTop - before.clientHeight < NEAR;
    super.update(changed);
    const scroll = this.#scroll;
    const first = this.session.past(this.room).timeline.get()[0]?.key;
    if (scroll && atEnd) scroll.scrollTop = scroll.scrollHeight;
    else if (scroll && first !== this.#first) scroll.scrollTop += scroll.scrollHeight - height;
    this.#first = first;
  }

  protected override updated(): void {
    settle(this.querySelector("ol"), (items) => items.at(-1));
    const last = this.session.past(this.room).timeline.get().findLast(({ position }) => position !== undefined);
    const { unread, readTo } = this.room.state.get();
    if (unread > 0 && (last?.position ?? 0) > readTo && document.visibilityState === "visible" && this.checkVisibility()) {
      this.room.markRead(last ?? 0).catch(() => undefined);
    }
    const dialog = this.querySelector("dialog");
    if (dialog?.open === false) dialog.showModal();
  }

  get #scroll(): HTMLElement | null { return this.querySelector(".scroll"); }

  async #older(): Promise<void> {
    const { timeline } = this.session.past(this.room);
    await this.session.act(async () => { this.#hasOlder = await timeline.older(); return undefined; });
    this.requestUpdate();
  }

  #key(event: KeyboardEvent): void {
    rove(event);
    const key = event.target instanceof HTMLElement && event.key === "Enter" ? event.target.dataset["key"] : undefined;
    if (key === undefined) return;
    // Else the same key press would be the first thing that the menu hears.
    event.preventDefault();
    this.#show(key);
  }

  #show(key: string | undefined): void {
    this.#open = key;
    this.requestUpdate();
  }

  #entry(entry: Entry): TemplateResult {
    if ("day" in entry) return html`<li class="note"><time>${entry.day}</time></li>`;
    if ("note" in entry) {
      const { who, what, epoch } = entry.note;
      return html`<li class="note" data-item tabindex="-1">${who.map((user, index) => html`${index > 0 ? ", " : nothing}<bdi>${user}</bdi>`)} ${what} · epoch ${String(epoch)}</li>`;
    }
    const { item } = entry;
    if (item.problem !== undefined) return html`<li class="note" data-item tabindex="-1">A message from ${clock(item.at)} that this device cannot read.</li>`;
    return html`
      <li class="message ${item.mine ? "mine" : "theirs"}" data-item data-key=${item.key} tabindex="-1">
        ${item.mine ? html`<span class="aside">You:</span>` : html`<span class="from"><bdi class="sender">${nameOf(item.sender)}</bdi> <span class="domain">${domainOf(item.sender)}</span></span>`}
        ${textOf(item)}
        <span class="delivery ${item.delivery.state}">${deliveryView(item)}
          ${item.delivery.state === "failed" ? this.#button("Retry", item.delivery.retry) : nothing}
          <button type="button" class="more" tabindex="-1" aria-label="More about this message" @click=${() => { this.#show(item.key); }}>⋯</button></span>
      </li>
    `;
  }

  #button(words: string, act: () => Promise<unknown>): TemplateResult {
    return html`<button type="button" tabindex="-1" @click=${() => { void this.#act(act); }}>${words}</button>`;
  }

  async #act(act: () => Promise<unknown>): Promise<void> {
    await this.session.act(async () => { await act(); return undefined; });
  }

  #menu(message: Message): TemplateResult {
    const { sender, device, epoch, position, delivery, text, at } = message;
    const copy = (): Promise<void> => navigator.clipboard.writeText(text ?? "");
    const actions: readonly (readonly [words: string, act: () => Promise<unknown>])[] = [...actionsOf(delivery), ["Copy text", copy]];
    return html`
      <dialog aria-labelledby="message-title" @close=${() => { this.#show(undefined); }}>
        <form method="dialog">
          <h2 id="message-title">Message of <bdi>${sender}</bdi></h2>
          <dl class="facts">
            <div><dt>State</dt><dd>${deliveryWords(delivery)[1]}</dd></div>
            <div><dt>${position === undefined ? "Written" : "At the hub"}</dt><dd>${day(at)}, ${clock(at)}</dd></div>
            <div><dt>Device</dt><dd><bdi>${device}</bdi></dd></div>
            ${epoch === undefined ? nothing : html`<div><dt>Epoch</dt><dd>${String(epoch)}</dd></div>`}
            ${position === undefined ? nothing : html`<div><dt>Place in the hub's order</dt><dd>${position}</dd></div>`}
          </dl>
          <p class="buttons">
            ${actions.map(([words, act]) => html`<button @click=${() => { void this.#act(act); }}>${words}</button>`)}
            <button class="main">Close</button>
          </p>
        </form>
      </dialog>`;
  }
}

/** What can be done about a message of this device that is not with the hub. */
function actionsOf(delivery: Delivery): readonly (readonly [words: string, act: () => Promise<unknown>])[] {
  switch (delivery.state) {
    case "queued": return [["Take back", delivery.cancel]];
    case "failed": return [["Retry", delivery.retry], ["Discard", delivery.discard]];
    default: return [];
  }
}

/** Messages with a line for each day and for each time that somebody came or went. */
function entriesOf(items: readonly TimelineItem[], notes: readonly Note[]): Entry[] {
  const noted = (after: string | undefined): Entry[] => notes.filter((note) => note.after === after).map((note) => ({ key: note.key, note }));
  let last: string | undefined;
  return [...noted(undefined), ...items.flatMap((item): Entry[] => {
    const today = day(item.at);
    const begins = today !== last;
    last = today;
    return [...(begins ? [{ key: `day ${today}`, day: today }] : []), { key: item.key, item }, ...noted(item.key)];
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
