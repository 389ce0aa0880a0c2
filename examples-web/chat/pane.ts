// One person: a client of its own and what can be done with it.

import { Client, MimiError, uri, type Message, type Room, type RoomUri, type UserUri } from "@mimi-edge/client";
import { LitElement, type PropertyValues, type TemplateResult } from "lit";
import { Transcript } from "./transcript.js";
import { paneView } from "./views.js";
import { changeWords, count, errorWords, type ErrorWords } from "./words.js";

/** What a pane says about the last thing that was done. */
export type Notice = { readonly kind: "status" | "alert"; readonly text: string };

/** This near to its end counts as the end of the timeline. */
const NEAR_PIXELS = 8;

export class ChatPane extends LitElement {
  static override properties = { user: {}, second: { type: Boolean }, provider: {}, network: {} };
  declare user: string;
  /** Whether this is the person's second device. */
  declare second: boolean;
  declare provider: string;
  /** Tells runs of the providers apart: each starts without knowing any device. */
  declare network: string;

  client: Client | undefined;
  /** The room that is open. */
  room: Room | undefined;
  notice: Notice | undefined;
  /** Opening failed, or the client stopped: it can be tried again. */
  stopped = false;
  readonly #transcripts = new Map<RoomUri, Transcript>();
  #listening = new AbortController();

  /** Tells the panes of a page apart. */
  get key(): string { return this.second ? `${this.user}/2` : this.user; }

  /** Light DOM: labels and styles work across the page. */
  protected override createRenderRoot(): this { return this; }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.open();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#listening.abort();
    void this.client?.close();
  }

  protected override render(): TemplateResult { return paneView(this); }

  /** Whoever reads the newest message goes on seeing the newest one. */
  protected override update(changed: PropertyValues<this>): void {
    const before = this.querySelector(".timeline");
    const atEnd = before === null || before.scrollHeight - before.scrollTop - before.clientHeight < NEAR_PIXELS;
    super.update(changed);
    const timeline = this.querySelector(".timeline");
    if (timeline && (atEnd || timeline !== before)) timeline.scrollTop = timeline.scrollHeight;
  }

  transcript(room: Room): Transcript {
    let transcript = this.#transcripts.get(room.uri);
    if (transcript === undefined) {
      transcript = new Transcript();
      this.#transcripts.set(room.uri, transcript);
    }
    return transcript;
  }

  /** Opens this person's device: the stored one, or a new one. */
  async open(): Promise<void> {
    this.stopped = false;
    this.say(undefined);
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    try {
      const user = uri.user(this.user);
      const client = await Client.open({ user, provider: this.provider, store: { name: `${this.key} ${this.network}` } });
      if (signal.aborted) { await client.close(); return; }
      this.client = client;
      this.#listen(client, signal);
    } catch (error) {
      this.stopped = true;
      this.#failed(error);
    }
  }

  #listen(client: Client, signal: AbortSignal): void {
    const watched = new Set<Room>();
    client.addEventListener("message", ({ detail }) => { this.#received(detail); }, { signal });
    client.addEventListener("error", ({ detail }) => { this.#stop(detail); }, { signal });
    client.addEventListener("changeFailed", ({ detail: { what, user, error } }) => {
      this.say({ kind: "alert", text: `Not done: ${changeWords({ what, state: "queued" })} ${user ?? ""}. ${errorWords(error)}` });
    }, { signal });
    for (const event of ["gap", "diverged"] as const) {
      client.addEventListener(event, ({ detail: { room, rejoined } }) => {
        this.say(rejoined ? { kind: "status", text: `This device is in ${room} again.` } : { kind: "alert", text: `This device lost the thread in ${room}.` });
      }, { signal });
    }
    for (const live of [client.sync, client.available, client.devices, client.consent.incoming, client.consent.granted]) {
      live.subscribe(() => { this.requestUpdate(); }, { signal });
    }
    client.rooms.subscribe((rooms) => {
      for (const room of rooms.filter((room) => !watched.has(room))) {
        watched.add(room);
        room.state.subscribe((state) => {
          this.transcript(room).changed(state);
          this.requestUpdate();
        }, { signal });
        this.room ??= room;
        void this.#recall(room);
      }
    }, { signal });
  }

  /** Shows what the device has stored of a room. */
  async #recall(room: Room): Promise<void> {
    try {
      const { items } = await room.history();
      this.transcript(room).precede(items);
      this.requestUpdate();
    } catch (error) {
      if (!MimiError.is(error, "closed")) this.#failed(error);
    }
  }

  #received(message: Message): void {
    const room = this.client?.room(message.room);
    if (room === undefined) return;
    const transcript = this.transcript(room);
    transcript.put(message);
    if (room === this.room) transcript.unread = 0;
    if (message.delivery.state === "failed") this.say({ kind: "alert", text: `A message was not sent. ${errorWords(message.delivery.error)}` });
    this.requestUpdate();
  }

  /** The client works no more: its store is given free, so that it can be opened again. */
  #stop(error: MimiError): void {
    this.#listening.abort();
    void this.client?.close();
    this.client = undefined;
    this.room = undefined;
    this.stopped = true;
    this.#failed(error);
  }

  select(room: Room): void {
    this.room = room;
    this.transcript(room).unread = 0;
    this.say(undefined);
  }

  /** These say whether it was done, so that a form may be emptied. */
  async createRoom(id: string): Promise<boolean> {
    return await this.act(async (client) => {
      this.room = await client.createRoom({ id });
      return `${this.room.state.get().name} is there.`;
    }, { "bad-uri": "A room's name has no spaces, no @ and no /." });
  }

  async join(room: RoomUri): Promise<boolean> {
    return await this.act(async (client) => {
      this.room = await client.joinRoom(room);
      return `This device is in ${this.room.state.get().name}.`;
    });
  }

  async add(room: Room, address: string): Promise<boolean> {
    return await this.act(async () => {
      const user = uri.user(address);
      const result = await room.add(user, { requestConsent: true });
      return result.state === "added" ? `${user} is in the room, with ${count(result.devices, "device")}.` : `${user} is asked, and comes in once it allows that.`;
    });
  }

  async ban(room: Room, address: string): Promise<boolean> {
    return await this.act(async () => {
      const user = uri.user(address);
      await room.setRoles(user, ["banned"]);
      return `${user} is banned.`;
    });
  }

  async ask(address: string): Promise<boolean> {
    return await this.#consent(address, (consent, user) => consent.request(user), "is asked");
  }

  async allow(address: string): Promise<boolean> {
    return await this.#consent(address, (consent, user) => consent.grant(user), "may add you");
  }

  async refuse(address: string, room?: RoomUri): Promise<boolean> {
    return await this.#consent(address, (consent, user) => consent.revoke(user, room), room === undefined ? "may not add you" : `may not add you to ${room}`);
  }

  async #consent(address: string, act: (consent: Client["consent"], user: UserUri) => Promise<void>, words: string): Promise<boolean> {
    return await this.act(async ({ consent }) => {
      const user = uri.user(address);
      await act(consent, user);
      return `${user} ${words}.`;
    });
  }

  async send(room: Room, text: string): Promise<boolean> {
    return await this.act(async () => {
      await room.send(text);
      return undefined;
    });
  }

  /** Does something and says what came of it. */
  async act(what: (client: Client) => Promise<string | undefined>, words: ErrorWords = {}): Promise<boolean> {
    if (this.client === undefined) return false;
    this.say(undefined);
    try {
      const text = await what(this.client);
      if (text !== undefined) this.say({ kind: "status", text });
      return true;
    } catch (error) {
      this.#failed(error, words);
      return false;
    }
  }

  #failed(error: unknown, words: ErrorWords = {}): void {
    if (!MimiError.is(error)) console.error(error);
    this.say({ kind: "alert", text: errorWords(error, words) });
  }

  say(notice: Notice | undefined): void {
    this.notice = notice;
    this.requestUpdate();
  }
}

customElements.define("chat-pane", ChatPane);
