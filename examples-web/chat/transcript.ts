// What a pane shows of a room's past: messages, and who came when.

import type { Message, RoomState, UserUri } from "@mimi-edge/client";

/** One line of a room's timeline. */
export type Entry =
  | { readonly key: string; readonly message: Message }
  | { readonly key: string; readonly epoch: bigint; readonly added: readonly UserUri[] };

/** So many received messages are kept for a screen reader. */
const HEARD = 20;

export class Transcript {
  /** Everything, in the order in which it came. */
  readonly entries: Entry[] = [];
  /** The newest received messages, for a screen reader. */
  readonly heard: Message[] = [];
  /** Received since somebody looked. */
  unread = 0;
  #last: RoomState | undefined;

  /** A message, or news of one that is there already. */
  put(message: Message): void {
    const entry = { key: message.key, message };
    const known = this.entries.findIndex(({ key }) => key === message.key);
    if (known >= 0) this.entries[known] = entry;
    else this.entries.push(entry);
    if (message.mine || known >= 0) return;
    this.unread += 1;
    this.heard.push(message);
    this.heard.splice(0, this.heard.length - HEARD);
  }

  /** The room's state: notes who is new in it. */
  changed(state: RoomState): void {
    const before = this.#last;
    this.#last = state;
    if (before === undefined) return;
    const known = new Set(before.participants.map(({ user }) => user));
    const added = state.participants.map(({ user }) => user).filter((user) => !known.has(user));
    if (added.length > 0) this.entries.push({ key: `epoch ${String(state.epoch)}`, epoch: state.epoch, added });
  }
}
