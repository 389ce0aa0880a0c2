// What the page says in words.

import { MimiError, uri, type Change, type Delivery, type ErrorCode, type Message, type Role, type RoomState, type Sync, type Trust, type UserUri } from "@mimi-edge/client";

const ERRORS: Readonly<Record<ErrorCode, string>> = {
  "aborted": "Nobody waits for this any more.",
  "closed": "This device was closed.",
  "bad-argument": "That is not possible here.",
  "bad-uri": "That is no address. One looks like this: bob@bravo.example",
  "offline": "The provider cannot be reached.",
  "timeout": "There was no answer in time.",
  "rate-limited": "That was too much at once. Try again in a while.",
  "unauthenticated": "The provider does not know this device.",
  "not-allowed": "The room's rules do not allow this.",
  "wrong-epoch": "The room changed in the meantime. Try again.",
  "epoch-too-old": "This was written too long ago for the room.",
  "invalid-proposal": "The hub cannot do this in this room.",
  "hub-unresponsive": "The room's hub does not answer.",
  "room-unknown": "There is no such room.",
  "user-unknown": "Nobody has this address.",
  "conflict": "That is already there. For a room, take another name.",
  "diverged": "This device and the hub disagree about the room. It has to join anew.",
  "too-large": "That is too long.",
  "no-consent": "This person has not allowed it.",
  "no-key-package": "This person has no device that could be added now.",
  "incompatible": "This person's devices cannot take part in this room.",
  "gap": "Events of the room are missing. This device has to join anew.",
  "undecryptable": "This device cannot read that.",
  "storage-locked": "This device is open in another tab. Close it there first.",
  "storage-full": "The browser has no space left for this device.",
  "storage-newer": "A newer version of this page has stored this device.",
  "storage-key": "The key does not open what is stored for you here.",
  "storage-damaged": "What is stored for you here was changed by something else.",
  "wasm-load": "The program could not be loaded.",
  "wasm-blocked": "The page's security policy forbids the program.",
  "internal": "Something is broken here. Reload the page.",
};

/** Better words for some errors, where it is known what was tried. */
export type ErrorWords = Readonly<Partial<Record<ErrorCode, string>>>;

/** What went wrong, for the person in front of the page. */
export function errorWords(error: unknown, better: ErrorWords = {}): string {
  const code = MimiError.is(error) ? error.code : "internal";
  return better[code] ?? ERRORS[code];
}

const ROLES: Readonly<Record<Role, string>> = {
  system: "system",
  owner: "owner",
  admin: "admin",
  regular_user: "member",
  visitor: "visitor",
  banned: "banned",
};

export function roleWords(roles: readonly Role[]): string {
  return roles.map((role) => ROLES[role]).join(", ");
}

/** Whether somebody's devices were verified, as an icon and words. */
export function trustWords(trust: Trust): readonly [icon: string, words: string] {
  switch (trust) {
    case "unverified": return ["?", "not compared yet"];
    case "verified": return ["✓", "verified"];
    case "changed": return ["!", "devices changed"];
  }
}

/** Why something cannot be done in a room that cannot. */
export function obstacleWords({ phase, leaving, me }: Pick<RoomState, "phase" | "leaving" | "me">): string {
  switch (phase) {
    case "creating": return "The room is being created.";
    case "joining": return "This device is joining the room.";
    case "left": return "You are no longer in this room.";
    case "gap": case "diverged": return ERRORS[phase];
    case "joined":
      if (leaving) return "You are leaving: the next change that somebody makes takes you out.";
      return me.includes("banned") ? "You are banned from this room." : ERRORS["not-allowed"];
  }
}

const CHANGES: Readonly<Record<Change["what"], string>> = {
  "create": "create the room",
  "add": "add",
  "remove": "remove",
  "roles": "change the roles of",
  "leave": "leave the room",
  "remove-device": "take out a device",
  "policy": "change the room's policy",
  "update-keys": "renew keys",
  "join": "join the room",
};

const CHANGE_STATES: Readonly<Record<Change["state"], string>> = {
  "queued": "to be done",
  "waiting-consent": "waits for a permission",
  "committing": "being done",
  "retrying": "being tried again",
};

/** What is still to be done, such as “being done: add”. */
export function changeWords({ what, state }: Pick<Change, "what" | "state">): string {
  return `${CHANGE_STATES[state]}: ${CHANGES[what]}`;
}

/** The name in an address. */
export function nameOf(address: string): string {
  return address.startsWith("mimi://") ? address.slice(address.lastIndexOf("/") + 1) : address.slice(0, address.indexOf("@"));
}

/** The domain in an address. */
export function domainOf(address: UserUri): string {
  return uri.domain(address);
}

/** One line of a message. */
export function preview({ sender, mine, text }: Message): string {
  return `${mine ? "you" : nameOf(sender)}: ${text ?? "something that is no text"}`;
}

/** The connection as an icon and words. */
export function syncWords(sync: Sync): readonly [icon: string, words: string] {
  switch (sync.state) {
    case "live": return ["●", "connected"];
    case "connecting": return ["◌", "connecting"];
    case "catching-up": return ["◍", `catching up: ${String(Math.floor((100 * sync.done) / sync.total))} %`];
    case "offline": return ["○", "offline"];
  }
}

/** Where a message is, as an icon and words. */
export function deliveryWords(delivery: Delivery): readonly [icon: string, words: string] {
  switch (delivery.state) {
    case "queued": return ["◷", "queued"];
    case "sending": return ["↑", "sending"];
    case "cancelled": return ["✗", "taken back"];
    case "accepted": return ["✓", `accepted ${clock(delivery.at)}`];
    case "failed": return ["!", `not sent: ${errorWords(delivery.error)}`];
  }
}

export function count(number: number, one: string): string {
  return `${String(number)} ${number === 1 ? one : `${one}s`}`;
}

/** A time of day, such as 14:02. */
export function clock(at: number): string {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

/** A date, such as 3 March 2026. */
export function day(at: number): string {
  return new Date(at).toLocaleDateString([], { day: "numeric", month: "long", year: "numeric" });
}
