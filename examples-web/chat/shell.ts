// The frame around everything: header, what is said about the connection, the panes, and the keys that work everywhere.

import type { Room } from "@mimi-edge/client";
import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { keyed } from "lit/directives/keyed.js";
import { actionButton } from "./forms.js";
import { View } from "./glue.js";
import type { Network } from "./network.js";
import { go, hrefOf, inRoom, narrow, paneOf, place, withoutPanel, type Place } from "./place.js";
import { nameOf, syncWords } from "./words.js";
import "./connection.js";
import "./people.js";
import "./protocol.js";
import "./room.js";
import "./rooms.js";
import "./safety.js";
import "./settings.js";

class Shell extends View {
  static override properties = { ...View.properties, network: { attribute: false } };
  declare network: Network;
  #listening = new AbortController();
  #before: Place = place.get();
  /** Whether the protocol was ever looked at: from then on it is followed. */
  #isTraced = false;
  /** In all rooms. */
  #unread = 0;
  /** What opened the panel: the focus goes back there. */
  #opener: Element | null = null;

  override connectedCallback(): void {
    super.connectedCallback();
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    addEventListener("keydown", (event) => { this.#key(event); }, { signal });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#listening.abort();
  }

  protected override willUpdate(): void {
    const now = place.get();
    if (now.panel !== undefined && now.panel !== this.#before.panel) this.#opener = document.activeElement;
  }

  protected override render(): TemplateResult {
    const { client, person } = this.session;
    const now = this.watch.use(place);
    const room = now.room === undefined ? undefined : this.watch.use(client.rooms).find(({ uri }) => uri === now.room);
    this.#unread = this.watch.use(client.rooms).reduce((sum, { state }) => sum + this.watch.use(state).unread, 0);
    const sync = this.watch.use(client.sync);
    const [icon, words] = syncWords(sync);
    const { thread, tab, why } = this.watch.use(client.runtime);
    const [name, domain] = person.user.split("@");
    const pane = paneOf(now);
    const isTracing = now.panel === "protocol";
    this.#isTraced ||= isTracing;
    /** A pane that is alone on the screen is what the page is about. */
    const roleOf = (one: typeof pane, role: string): string => (this.watch.use(narrow) && one === pane ? "main" : role);
    return html`
      <div class="app" data-pane=${pane}>
        <header class="top" data-landmark tabindex="-1">
          <a class="skip" href=${hrefOf(now)} @click=${(event: Event) => { event.preventDefault(); this.#focus("main"); }}>Skip to messages</a>
          <a class="brand" href="#/">mimi</a>
          <p class="me"><bdi>${name}</bdi> <span class="domain">${domain}</span>${person.second ? html` <span class="quiet">second device</span>` : nothing}</p>
          <p class="sync ${sync.state}"><span aria-hidden="true">${icon}</span> ${words}</p>
          <p class="quiet runtime" title=${why ?? nothing}>tab: ${tab}, ${thread === "worker" ? "worker" : "main thread"}</p>
          <nav aria-label="This device">
            <a href=${hrefOf(isTracing ? withoutPanel(now) : { ...now, panel: "protocol" })}>Protocol</a>
            <a href=${hrefOf({ view: "settings" })} aria-current=${now.view === "settings" ? "page" : nothing}>Settings</a>
            <a href="?">Sign out</a>
          </nav>
        </header>
        <div class="banners">
          <chat-connection .session=${this.session}></chat-connection>
          ${this.#notices()}
        </div>
        <div class="pane nav" role=${roleOf("rooms", "navigation")} aria-label="Rooms" data-landmark tabindex="-1"><chat-rooms .session=${this.session}></chat-rooms></div>
        <main class="pane at-${now.view}" data-landmark tabindex="-1" aria-labelledby="title">${this.#main(now, room)}</main>
        <div class="pane people" role=${roleOf("people", "complementary")} aria-label="People and security" data-landmark tabindex="-1" ?hidden=${room === undefined}>
          ${room === undefined ? nothing : keyed(room.uri, html`<chat-people .session=${this.session} .room=${room}></chat-people>`)}
        </div>
        <div class="pane protocol" role=${roleOf("protocol", "complementary")} aria-label="Protocol" data-landmark tabindex="-1" ?hidden=${!isTracing}>
          ${this.#isTraced ? html`<chat-protocol .session=${this.session} .network=${this.network}></chat-protocol>` : nothing}
        </div>
        ${this.#compared()}
      </div>
    `;
  }

  #compared(): TemplateResult | unknown {
    const number = this.watch.use(this.session.compared);
    return number === undefined ? nothing : keyed(number, html`<chat-safety .session=${this.session} .number=${number}></chat-safety>`);
  }

  #main(now: Place, room: Room | undefined): TemplateResult | unknown {
    if (now.view === "settings") return html`<chat-settings .session=${this.session} .network=${this.network}></chat-settings>`;
    if (room !== undefined) return keyed(room.uri, html`<chat-room .session=${this.session} .room=${room}></chat-room>`);
    if (now.room === undefined) return html`<div class="empty"><h1 id="title" tabindex="-1">No room is open</h1><p>Choose one, or create one and add people to it by their addresses.</p></div>`;
    const address = now.room;
    const join = (): void => { void this.session.act(async (client) => { await client.joinRoom(address); return "This device is in the room."; }); };
    return html`
      <div class="empty">
        <h1 id="title" tabindex="-1"><bdi>${address}</bdi></h1>
        <p>This device is not in this room. When you are in it with another one, it can join.</p>
        <p class="buttons"><button class="main" @click=${join}>Join</button> <a href="#/">Back to rooms</a></p>
      </div>`;
  }

  #notices(): TemplateResult {
    const notice = this.watch.use(this.session.notice);
    const text = (kind: "status" | "alert"): string | typeof nothing => (notice?.kind === kind ? notice.text : nothing);
    return html`
      <div class="notice ${notice?.kind ?? "none"}">
        <p role="status">${text("status")}</p>
        <p role="alert">${text("alert")}</p>
        ${notice?.retry === undefined ? nothing : actionButton("Retry", () => { void this.session.act(async () => { await notice.retry?.(); return undefined; }); })}
        ${notice === undefined ? nothing : html`<button type="button" aria-label="Dismiss what is said here" @click=${() => { this.session.say(undefined); }}>✕</button>`}
      </div>`;
  }

  protected override updated(_changed: PropertyValues<this>): void {
    const before = this.#before;
    const now = place.get();
    this.#before = now;
    document.title = `${this.#unread > 0 ? `(${String(this.#unread)}) ` : ""}${now.room === undefined ? this.session.person.user : nameOf(now.room)} – mimi`;
    if (now.panel !== before.panel) this.#moved(before, now);
    else if (now.view !== before.view || now.room !== before.room) this.#focus(now.view === "rooms" ? ".pane.nav" : "#title");
  }

  /** A panel was opened or closed: the focus follows. */
  #moved(before: Place, now: Place): void {
    if (now.panel !== undefined) this.#focus(`.${now.panel}`);
    else if (before.room === now.room && this.#opener?.isConnected === true) (this.#opener as HTMLElement).focus();
    else this.#focus("#title");
  }

  #focus(what: string): void {
    // What is to have the focus may be an element that has not rendered yet.
    void Promise.resolve().then(() => { this.querySelector<HTMLElement>(what)?.focus(); });
  }

  #key(event: KeyboardEvent): void {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const act = this.#actionOf(event);
    if (act === undefined) return;
    event.preventDefault();
    act();
  }

  #actionOf({ key, ctrlKey, altKey, shiftKey }: KeyboardEvent): (() => void) | undefined {
    const now = place.get();
    if (key === "F6") return () => { this.#cycle(shiftKey ? -1 : 1); };
    if (ctrlKey && key.toLowerCase() === "k") return () => { this.#find(); };
    if (altKey && (key === "ArrowUp" || key === "ArrowDown")) return () => { this.#step(key === "ArrowUp" ? -1 : 1); };
    if (key === "Escape" && now.panel !== undefined) return () => { go(withoutPanel(now)); };
    return undefined;
  }

  /** From landmark to landmark, as far as they are shown. */
  #cycle(by: 1 | -1): void {
    const shown = [...this.querySelectorAll<HTMLElement>("[data-landmark]")].filter((one) => one.checkVisibility());
    const at = shown.findIndex((one) => one.contains(document.activeElement));
    shown.at(at < 0 ? 0 : (at + by) % shown.length)?.focus();
  }

  #find(): void {
    const search = (): HTMLElement | null => this.querySelector<HTMLElement>("#find-room");
    if (search()?.checkVisibility() !== true) go({ view: "rooms" });
    void this.updateComplete.then(() => { requestAnimationFrame(() => { search()?.focus(); }); });
  }

  #step(by: 1 | -1): void {
    const rooms = this.session.client.rooms.get();
    const at = rooms.findIndex(({ uri }) => uri === place.get().room);
    const next = rooms.at(at < 0 ? 0 : (at + by) % rooms.length);
    if (next) go(inRoom(next.uri));
  }
}

customElements.define("chat-shell", Shell);
