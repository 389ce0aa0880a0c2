import { messageOf, type CoreMessage, type Message, type Self } from "./message.js";

/** What is to be read in a room, and to be sent; part of its state. */
export interface Reading {
  /** How many messages of others the user has not read; see {@link Room.markRead}. */
  readonly unread: number;
  /** The place of the room's log up to which the user has read; 0 for nothing. */
  readonly readTo: number;
  /** The last message of the room's log, if there is one. */
  readonly last?: Message;
  /** How many messages of this device wait or are on their way. */
  readonly waiting: number;
  /** How many messages of this device were given up, and are kept. */
  readonly failed: number;
}

/** How the core tells it. */
export interface CoreReading {
  readonly readTo: number;
  readonly unread: number;
  readonly last?: CoreMessage;
  readonly waiting: number;
  readonly failed: number;
}

/** Of a room that is new. */
export const NOTHING_READ: Omit<CoreReading, "last"> = { readTo: 0, unread: 0, waiting: 0, failed: 0 };

/** As applications see it. */
export function readingOf(self: Self, { readTo, unread, last, waiting, failed }: CoreReading): Reading {
  return { unread, readTo, waiting, failed, ...(last === undefined ? {} : { last: messageOf(self, last) }) };
}

/** Whether both say the same. */
export function areSame(one: CoreReading, other: CoreReading): boolean {
  const parts = ({ readTo, unread, last, waiting, failed }: CoreReading): readonly unknown[] => [readTo, unread, last?.position, waiting, failed];
  const others = parts(other);
  return parts(one).every((part, index) => part === others[index]);
}
