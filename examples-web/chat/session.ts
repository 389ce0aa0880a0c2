// One signed-in device: its client, and what the page says about it.

import { Client, MimiError, uri, type Exchange, type Message, type Room, type RoomUri, type SafetyNumber, type Timeline, type UserUri } from "@mimi-edge/client";
import { Value } from "./glue.js";
import { Notes } from "./notes.js";
import { changeWords, errorWords, type ErrorWords } from "./words.js";

/** What the page says about the last thing that happened. An alert is read out at once. */
export interface Notice {
  readonly kind: "status" | "alert";
  readonly text: string;
  /** Sends the message again that it is about. */
  readonly retry?: () => Promise<void>;
}

/** So many messages of a room are read at a time. */
export const PAGE = 50;

/** What the page shows of a room's past. */
export interface Past { readonly timeline: Timeline; readonly notes: Notes }

/** Whose device to open. */
export interface Person {
  readonly user: string;
  /** Base URL of the person's provider. */
  readonly provider: string;
  /** Whether this is to be a device beside the one that this browser has already. */
  readonly second: boolean;
}

export class Session {
  readonly client: Client;
  readonly person: Person;
  readonly notice = new Value<Notice | undefined>(undefined);
  /** What this device and its provider exchanged last. */
  readonly exchange: Value<Exchange | undefined>;
  /** The safety number that is being compared. */
  readonly compared = new Value<SafetyNumber | undefined>(undefined);
  /** Why the client works no more. */
  readonly broken = new Value<MimiError | undefined>(undefined);
  /** What was written and not sent, by room. */
  readonly drafts = new Map<RoomUri, string>();
  readonly #pasts = new Map<RoomUri, Past>();
  readonly #listening = new AbortController();

  private constructor(client: Client, person: Person, exchange: Session["exchange"]) {
    this.client = client;
    this.person = person;
    this.exchange = exchange;
    const { signal } = this.#listening;
    client.addEventListener("message", ({ detail }) => { this.#heard(detail); }, { signal });
    client.addEventListener("error", ({ detail }) => {
      this.broken.set(detail);
      void this.close();
    }, { signal });
    client.addEventListener("changeFailed", ({ detail: { what, user, error } }) => {
      this.say({ kind: "alert", text: `Not done: ${changeWords({ what, state: "queued" })} ${user ?? ""}. ${errorWords(error)}` });
    }, { signal });
    client.addEventListener("devices", ({ detail: { user, added } }) => {
      if (user !== client.user) this.say({ kind: "status", text: `${user} ${added.length > 0 ? "has a new device" : "has one device less"}.` });
    }, { signal });
    for (const event of ["gap", "diverged"] as const) {
      client.addEventListener(event, ({ detail: { room, rejoined } }) => {
        this.say(rejoined ? { kind: "status", text: `This device is in ${room} again.` } : { kind: "alert", text: `This device lost the thread in ${room}.` });
      }, { signal });
    }
    client.rooms.subscribe((rooms) => { for (const room of rooms) this.past(room); }, { signal });
  }

  /** Opens a device: the stored one, or a new one. `network` tells runs of the providers apart, each of which knows nobody at first. */
  static async open(person: Person, network: string): Promise<Session> {
    const user = uri.user(person.user);
    const exchange = new Value<Exchange | undefined>(undefined);
    const client = await Client.open({ user, provider: person.provider, store: storeOf(person, network), trace: (one) => { exchange.set(one); } });
    return new Session(client, person, exchange);
  }

  /** The messages of a room, and who came and went. */
  past(room: Room): Past {
    const known = this.#pasts.get(room.uri);
    if (known !== undefined) return known;
    const timeline = room.timeline({ limit: PAGE });
    const past = { timeline, notes: new Notes(timeline) };
    this.#pasts.set(room.uri, past);
    room.state.subscribe((state) => { past.notes.changed(state); }, { signal: this.#listening.signal });
    return past;
  }

  /** Does something, says what came of it, and resolves to whether it was done. */
  async act(what: (client: Client) => Promise<string | undefined>, words: ErrorWords = {}): Promise<boolean> {
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

  /** As `act`, with a person's address that somebody typed. */
  async actOn(address: string, what: (user: UserUri, client: Client) => Promise<string | undefined>, words: ErrorWords = {}): Promise<boolean> {
    return await this.act((client) => what(uri.user(address), client), words);
  }

  /** Shows the safety number with somebody, to compare it. */
  async compare(user: UserUri): Promise<void> {
    await this.act(async ({ verification }) => { this.compared.set(await verification.safetyNumber(user)); return undefined; },
      { "user-unknown": "There is nothing to compare yet: no device of this person is in a room with you." });
  }

  say(notice: Notice | undefined): void { this.notice.set(notice); }

  async close(): Promise<void> {
    this.#listening.abort();
    await this.client.close();
  }

  #heard({ delivery }: Message): void {
    if (delivery.state === "failed") this.say({ kind: "alert", text: `Message not sent. ${errorWords(delivery.error)}`, retry: delivery.retry });
  }

  #failed(error: unknown, words: ErrorWords = {}): void {
    if (!MimiError.is(error)) console.error(error);
    this.say({ kind: "alert", text: errorWords(error, words) });
  }
}

/** Where a device is stored: each has a store of its own. */
export function storeOf({ user, second }: Pick<Person, "user" | "second">, network: string): { readonly name: string } {
  return { name: `${user}${second ? "/2" : ""} ${network}` };
}
