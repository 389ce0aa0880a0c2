import { MimiError, orAborted } from "./errors.js";
import { LiveValue, type Live, type Signal } from "./live.js";
import type { Message, TimelineItem } from "./message.js";

/**
 * The messages of a room as a list that goes on by itself: those of the room's log in its order, which is
 * the same on every device, then those of this device that are not in it. Iterating and subscribing show
 * the newest list; each is another array.
 */
export interface Timeline extends Live<readonly TimelineItem[]>, Disposable {
  /** Resolves when the newest messages are there; until then the list is empty. Rejects with `closed`. */
  readonly ready: Promise<void>;
  /** Loads a page of older messages. Resolves to whether there may be still older ones. Rejects with `closed`, or with `aborted` when the signal ended the wait. */
  older(options?: Signal): Promise<boolean>;
  /** Ends it: the list changes no more. */
  close(): void;
}

/** Where a timeline has its messages from. */
export interface TimelineSource {
  /** The last messages of the log before a position, or of all, the oldest first. */
  history(before: number | undefined, limit: number): Promise<readonly TimelineItem[]>;
  /** The messages of this device that are not in the log, in order. */
  unsent(): Promise<readonly Message[]>;
  /** The timeline is closed. */
  closed(): void;
}

/** A {@link Timeline} that is told what happens. */
export class RoomTimeline implements Timeline {
  readonly get: Live<readonly TimelineItem[]>["get"];
  readonly subscribe: Live<readonly TimelineItem[]>["subscribe"];
  readonly ready: Promise<void>;
  readonly #items = new LiveValue<readonly TimelineItem[]>([]);
  readonly #source: TimelineSource;
  readonly #limit: number;
  /** What is in the log, by position. */
  #logged: readonly TimelineItem[] = [];
  /** What is not, in order. */
  #unsent: readonly Message[] = [];
  /** What was told while the first page is on its way: it is newer than that. */
  #early: TimelineItem[] | undefined = [];
  /** Whether the log may have older ones than those that are shown. */
  #hasOlder = true;
  #older: Promise<boolean> | undefined;
  #isClosed = false;

  constructor(source: TimelineSource, limit: number) {
    this.#source = source;
    this.#limit = limit;
    this.get = this.#items.get;
    this.subscribe = this.#items.subscribe;
    this.ready = this.#load();
    // Nobody has to wait for it.
    this.ready.catch(() => undefined);
  }

  async older({ signal }: Signal = {}): Promise<boolean> {
    this.#older ??= this.#loadOlder().finally(() => { this.#older = undefined; });
    return await orAborted(this.#older, signal);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#items.end();
    this.#source.closed();
  }

  [Symbol.dispose](): void { this.close(); }

  [Symbol.asyncIterator](): AsyncIterator<readonly TimelineItem[]> { return this.#items[Symbol.asyncIterator](); }

  /** @internal Something came, or is somewhere else now. */
  told(item: TimelineItem): void {
    if (this.#isClosed) return;
    if (this.#early !== undefined) {
      this.#early.push(item);
      return;
    }
    this.#take(item);
    this.#show();
  }

  /** @internal Another host has the device: what is in the log is told, and not what became of the rest. */
  again(): void {
    if (this.#isClosed || this.#early !== undefined) return;
    this.#early = [];
    this.#source.unsent().then((unsent) => { this.#begin(this.#logged, unsent); }, () => undefined);
  }

  async #load(): Promise<void> {
    const [logged, unsent] = await Promise.all([this.#source.history(undefined, this.#limit), this.#source.unsent()]);
    this.#hasOlder = logged.length === this.#limit;
    this.#begin(logged, unsent);
  }

  #begin(logged: readonly TimelineItem[], unsent: readonly Message[]): void {
    if (this.#isClosed) return;
    this.#logged = logged;
    this.#unsent = unsent;
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const item of early) this.#take(item);
    this.#show();
  }

  async #loadOlder(): Promise<boolean> {
    await this.ready;
    if (this.#isClosed) throw new MimiError("closed", "the timeline was closed");
    const first = this.#logged[0]?.position;
    if (!this.#hasOlder || first === undefined) return false;
    const older = await this.#source.history(first, this.#limit);
    this.#hasOlder = older.length === this.#limit;
    this.#logged = [...older, ...this.#logged];
    this.#show();
    return this.#hasOlder;
  }

  #take(item: TimelineItem): void {
    const unsent = this.#unsent.filter(({ key }) => key !== item.key);
    const { position } = item;
    if (position === undefined) {
      // An accepted one whose echo was faster is in the log.
      if (item.problem !== undefined || this.#logged.some(({ key }) => key === item.key)) return;
      this.#unsent = item.delivery.state === "cancelled" ? unsent : this.#placed(item, unsent);
      return;
    }
    this.#unsent = unsent;
    const before = this.#logged.filter((one) => placeOf(one) < position);
    const after = this.#logged.filter((one) => placeOf(one) > position);
    // What is older than all that is shown comes with its page.
    if (before.length > 0 || !this.#hasOlder) this.#logged = [...before, item, ...after];
  }

  /** A message stays where it is, but for one that waits anew: it is sent after the others. */
  #placed(item: Message, others: readonly Message[]): readonly Message[] {
    const before = this.#unsent.find(({ key }) => key === item.key)?.delivery.state;
    const waits = item.delivery.state === "queued" || item.delivery.state === "sending";
    if (before === undefined || (before === "failed" && waits)) return [...others, item];
    return this.#unsent.map((one) => (one.key === item.key ? item : one));
  }

  #show(): void { this.#items.set([...this.#logged, ...this.#unsent]); }
}

/** Where something of the log stands. */
function placeOf({ position = 0 }: TimelineItem): number { return position; }
