// What the page shows of a room's past: its messages, and who came and went while the page was open.

import type { Message, Page, Room, RoomState, TimelineItem, UserUri } from "@mimi-edge/client";
import { Value } from "./glue.js";

/** Who came or went, and after which message that was seen. */
export interface Note {
  readonly key: string;
  readonly after: string | undefined;
  readonly epoch: bigint;
  readonly who: readonly UserUri[];
  readonly what: "came in" | "went";
}

/** So many messages are read at a time. */
const LIMIT = 50;

export class RoomLog {
  /** In the order of the room's hub, then this device's own that are not there yet. */
  readonly messages = new Value<readonly Message[]>([]);
  readonly notes = new Value<readonly Note[]>([]);
  /** Whether there may be older messages than these. */
  readonly hasOlder = new Value(false);
  /** Received since somebody looked. */
  readonly unread = new Value(0);
  readonly #room: Room;
  #page: Page<TimelineItem> | null | undefined;
  #last: RoomState | undefined;

  constructor(room: Room, signal: AbortSignal) {
    this.#room = room;
    room.state.subscribe((state) => { this.#changed(state); }, { signal });
  }

  /** A message, or news of one that is there already. */
  put(message: Message): void {
    const known = this.messages.get();
    const isNew = known.every(({ key }) => key !== message.key);
    if (isNew && !message.mine) this.unread.set(this.unread.get() + 1);
    this.messages.set(isNew ? [...known, message] : known.map((one) => (one.key === message.key ? { ...one, ...message } : one)));
  }

  /** Shows what was before. */
  async older(): Promise<void> {
    if (this.#page === null) return;
    this.#page = this.#page === undefined ? await this.#room.history({ limit: LIMIT }) : await this.#page.next();
    this.hasOlder.set(this.#page?.items.length === LIMIT);
    const known = new Set(this.messages.get().map(({ key }) => key));
    const items = (this.#page?.items ?? []).filter((item): item is Message => item.problem === undefined && !known.has(item.key));
    this.messages.set([...items, ...this.messages.get()]);
  }

  #changed(state: RoomState): void {
    const before = this.#last && present(this.#last);
    this.#last = state;
    if (before === undefined) return;
    const now = present(state);
    this.#note(state, now.filter((user) => !before.includes(user)), "came in");
    this.#note(state, before.filter((user) => !now.includes(user)), "went");
  }

  #note({ epoch }: RoomState, who: readonly UserUri[], what: Note["what"]): void {
    if (who.length === 0) return;
    this.notes.set([...this.notes.get(), { key: `epoch ${String(epoch)} ${what}`, after: this.messages.get().at(-1)?.key, epoch, who, what }]);
  }
}

/** Who takes part: the banned are listed too. */
function present({ participants }: RoomState): UserUri[] {
  return participants.filter(({ roles }) => !roles.includes("banned")).map(({ user }) => user);
}
