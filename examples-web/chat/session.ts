// One signed-in device: its client, and what the page says about it.

import { Client, MimiError, uri, type Exchange, type Message, type Room, type RoomUri, type SafetyNumber, type UserUri } from "@mimi-edge/client";
import { Value } from "./glue.js";
import { RoomLog } from "./log.js";
import { changeWords, errorWords, type ErrorWords } from "./words.js";

/** What the page says about the last thing that happened. An alert is read out at once. */
export interface Notice { readonly kind: "status" | "alert"; readonly text: string }

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
  readonly #logs = new Map<RoomUri, RoomLog>();
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
    client.rooms.subscribe((rooms) => { for (const room of rooms) this.log(room); }, { signal });
  }

  /** Opens a device: the stored one, or a new one. `network` tells runs of the providers apart, each of which knows nobody at first. */
  static async open(person: Person, network: string): Promise<Session> {
    const user = uri.user(person.user);
    const exchange = new Value<Exchange | undefined>(undefined);
    const client = await Client.open({ user, provider: person.provider, store: storeOf(person, network), trace: (one) => { exchange.set(one); } });
    return new Session(client, person, exchange);
  }

  /** The messages of a room, and who came and went. */
  log(room: Room): RoomLog {
    let log = this.#logs.get(room.uri);
    if (log === undefined) {
      log = new RoomLog(room, this.#listening.signal);
      this.#logs.set(room.uri, log);
      log.older().catch((error: unknown) => { this.#failed(error); });
    }
    return log;
  }

  /** How many messages of this device have not reached their hubs. */
  waiting(): number {
    const waits = ({ mine, delivery }: Message): boolean => mine && (delivery.state === "queued" || delivery.state === "sending");
    return [...this.#logs.values()].reduce((sum, log) => sum + log.messages.get().filter(waits).length, 0);
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

  #heard(message: Message): void {
    const room = this.client.room(message.room);
    if (room) this.log(room).put(message);
    if (message.delivery.state === "failed") this.say({ kind: "alert", text: `Message not sent. ${errorWords(message.delivery.error)}` });
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
