// Who came into a room and who went, while the page was open.

import type { RoomState, TimelineItem, UserUri } from "@mimi-edge/client";
import { Value, type Watched } from "./glue.js";

/** Who came or went, and after which message that was seen. */
export interface Note {
  readonly key: string;
  readonly after: string | undefined;
  readonly epoch: bigint;
  readonly who: readonly UserUri[];
  readonly what: "came in" | "went";
}

export class Notes {
  readonly all = new Value<readonly Note[]>([]);
  readonly #messages: Watched<readonly TimelineItem[]>;
  #last: RoomState | undefined;

  constructor(messages: Watched<readonly TimelineItem[]>) { this.#messages = messages; }

  /** The room's state is another one. */
  changed(state: RoomState): void {
    const before = this.#last && present(this.#last);
    this.#last = state;
    if (before === undefined) return;
    const now = present(state);
    this.#note(state, now.filter((user) => !before.includes(user)), "came in");
    this.#note(state, before.filter((user) => !now.includes(user)), "went");
  }

  #note({ epoch }: RoomState, who: readonly UserUri[], what: Note["what"]): void {
    if (who.length === 0) return;
    this.all.set([...this.all.get(), { key: `epoch ${String(epoch)} ${what}`, after: this.#messages.get().at(-1)?.key, epoch, who, what }]);
  }
}

/** Who takes part: the banned are listed too. */
function present({ participants }: RoomState): UserUri[] {
  return participants.filter(({ roles }) => !roles.includes("banned")).map(({ user }) => user);
}
