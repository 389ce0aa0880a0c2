// What a pane shows of a room's past: messages, and who came when.

import type { Message, RoomState, UserUri } from "@mimi-edge/client";

/** One line of a room's timeline. */
export type Entry =
  | { readonly key: string; readonly message: Message }
  | { readonly key: string; readonly epoch: bigint; readonly who: readonly UserUri[]; readonly what: "came in" | "went" };

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

  /** What was there before the page was opened, the oldest first: nothing of it is new. */
  precede(messages: readonly Message[]): void {
    const known = new Set(this.entries.map(({ key }) => key));
    this.entries.unshift(...messages.filter(({ key }) => !known.has(key)).map((message) => ({ key: message.key, message })));
  }

  /** The room's state: notes who came and who went since the last one. */
  changed(state: RoomState): void {
    const before = this.#last && present(this.#last);
    this.#last = state;
    if (before === undefined) return;
    const now = present(state);
    this.#note(state, now.filter((user) => !before.includes(user)), "came in");
    this.#note(state, before.filter((user) => !now.includes(user)), "went");
  }

  #note({ epoch }: RoomState, who: readonly UserUri[], what: "came in" | "went"): void {
    if (who.length > 0) this.entries.push({ key: `epoch ${String(epoch)} ${what}`, epoch, who, what });
  }
}

/** Who takes part: the banned are listed too. */
function present({ participants }: RoomState): UserUri[] {
  return participants.filter(({ roles }) => !roles.includes("banned")).map(({ user }) => user);
}
