import type { Bytes } from "./message.js";
import { NOTHING_READ, type Reading } from "./reading.js";
import { uri, type ClientUri, type RoomUri, type UserUri } from "./uri.js";
import type { Trust } from "./verification.js";

/** What a participant may be (the draft's Role). */
export type Role = "system" | "owner" | "admin" | "regular_user" | "visitor" | "banned";

/** How AppSync proposals travel, chosen at a room's creation: B is the default, A lets other MLS implementations in. */
export type Profile = "A" | "B";

/** One entry of the participant list. */
export interface Participant {
  readonly user: UserUri;
  /** In the list's order. */
  readonly roles: readonly Role[];
  /** The domain of the user's provider. */
  readonly domain: string;
  /** The user's devices in the room, in the tree's order. */
  readonly devices: readonly ClientUri[];
  /** Whether the user's devices were verified, in whatever room; the own user's never are. */
  readonly trust: Trust;
}

/** What can be wished for in a room. */
export type ChangeKind = "create" | "add" | "remove" | "roles" | "leave" | "remove-device" | "policy" | "update-keys" | "join";

/** Something that this device still has to do in a room; stored, so it goes on after a reload. */
export interface Change {
  /** What is to be done. */
  readonly what: ChangeKind;
  /** The user whom it is about, if it is about one. */
  readonly user?: UserUri;
  /** `waiting-consent`: the user was asked and has not answered. `retrying`: others changed the room meanwhile. */
  readonly state: "queued" | "waiting-consent" | "committing" | "retrying";
  /** How often others changed the room under it. */
  readonly attempt: number;
  /**
   * Takes the wish back; whoever waits for it gets `aborted`. Resolves to false when that comes too
   * late: it is on its way to the hub, or done. With a room's creation goes the room, and all that waits
   * there: {@link Room.send}'s messages are taken back.
   */
  cancel(): Promise<boolean>;
}

/** What {@link RoomState.can} is asked about. */
export type Action = "send" | "add" | "remove" | "leave" | { readonly setRoles: readonly Role[]; readonly of: UserUri };

/** A room as it stands on this device. */
export interface RoomState extends Reading {
  /** A local label, never sent: the address' local part. */
  readonly name: string;
  /** The MLS epoch. */
  readonly epoch: bigint;
  /** MLS' epoch authenticator: the same bytes on all devices that are in the same state. */
  readonly authenticator: Bytes;
  /** The domain of the room's hub. */
  readonly hub: string;
  /** How the room's AppSync proposals travel. */
  readonly profile: Profile;
  /** Where this device stands. */
  readonly phase: "creating" | "joining" | "joined" | "left" | "gap" | "diverged";
  /** The own user's roles. */
  readonly me: readonly Role[] | "left";
  /** In the list's order, the banned too. */
  readonly participants: readonly Participant[];
  /** The room's base policy, of which this package knows no format; absent until one is set. */
  readonly policy?: Bytes;
  /** Whether the own user asked to leave, with this device or another: somebody else's commit has still to take it out. */
  readonly leaving: boolean;
  /** What is still to be done, in order. */
  readonly pending: readonly Change[];
  /**
   * Whether the hub would permit this in the room as it stands: its own rules, before asking. It may
   * still refuse what others made impossible in the meantime.
   */
  can(action: Action): boolean;
}

/** How the core tells a room's state. */
export interface CoreRoomState {
  readonly hub: string;
  readonly profile: Profile;
  readonly phase: RoomState["phase"];
  readonly epoch: number;
  readonly authenticator: Bytes;
  readonly me: string;
  readonly participants: readonly { readonly user: string; readonly roles: readonly Role[]; readonly devices: readonly string[]; readonly trust: Trust }[];
  readonly policy?: Bytes;
  readonly leaving: boolean;
  readonly mayChange: boolean;
  readonly maySend: boolean;
  readonly pending: readonly CorePending[];
}

/** How the core tells what is to be done. */
export interface CorePending { readonly id: number; readonly what: ChangeKind; readonly user?: string; readonly state: Change["state"]; readonly tries: number }

/** The core's state of a room as applications see it; `cancel` takes an intent back. */
export function roomState(address: RoomUri, core: CoreRoomState, cancel: (id: number) => Promise<boolean>, reading: Reading = NOTHING_READ): RoomState {
  const participants = core.participants.map(({ user, roles, devices, trust }): Participant => {
    const parsed = user as UserUri;
    return { user: parsed, roles, domain: uri.domain(parsed), devices: devices as ClientUri[], trust };
  });
  const me = participants.find(({ devices }) => devices.includes(core.me as ClientUri));
  const pending = core.pending.map(({ id, what, user, state, tries }): Change => ({
    what,
    ...(user === undefined ? {} : { user: user as UserUri }),
    state,
    attempt: tries,
    cancel: () => cancel(id),
  }));
  return {
    name: localPart(address),
    epoch: BigInt(core.epoch),
    authenticator: core.authenticator,
    hub: core.hub,
    profile: core.profile,
    phase: core.phase,
    me: core.phase === "left" ? "left" : (me?.roles ?? []),
    participants,
    ...(core.policy === undefined ? {} : { policy: core.policy }),
    leaving: core.leaving,
    pending,
    ...reading,
    can: (action) => can(core, action),
  };
}

function can(core: CoreRoomState, action: Action): boolean {
  if (action === "send") return core.maySend && !core.leaving;
  // Whoever is in may go, also without a right to change anything else.
  if (action === "leave") return core.phase === "joined" && !core.leaving;
  if (typeof action === "string") return core.mayChange && !core.leaving;
  const { setRoles: roles, of } = action;
  const listed = core.participants.some(({ user }) => user === of);
  const bans = roles.includes("banned");
  const isOwn = core.participants.some(({ user, devices }) => user === of && devices.includes(core.me));
  return core.mayChange && !core.leaving && areRoles(roles) && (bans ? !isOwn : listed);
}

/** Whether somebody can have these roles: at least one, none twice, `banned` alone. */
function areRoles(roles: readonly Role[]): boolean {
  return roles.length > 0 && new Set(roles).size === roles.length && (roles.length === 1 || !roles.includes("banned"));
}

function localPart(address: RoomUri): string {
  return address.startsWith("mimi://") ? address.slice(address.lastIndexOf("/") + 1) : address.slice(0, address.indexOf("@"));
}

