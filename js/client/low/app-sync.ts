import { appSyncProposal, applyAppSync } from "#wasm/client";
import type { Bytes } from "../message.js";
import type { Profile, Role } from "../room-state.js";
import type { UserUri } from "../uri.js";
import { call, owned } from "./core.js";
import { wire, type AppSyncStruct, type UserRoles } from "./wire.js";

/** A participant list: each user with its roles, in the order in which they were added. */
export type Participants = ReadonlyMap<UserUri, readonly Role[]>;

/**
 * The draft's patch to a participant list. Immutable: each call gives a new one.
 *
 * ```ts
 * const patch = AppSync.empty.add(bob, "regular_user").remove(eve);
 * ```
 */
export class AppSync {
  /** The patch that changes nothing; it must not be sent. */
  static readonly empty = new AppSync({ addUsers: [], updateUsers: [], removeUsers: [] });

  readonly #struct: AppSyncStruct;

  private constructor(struct: AppSyncStruct) { this.#struct = struct; }

  /** Decodes exactly one AppSync; throws `bad-argument` for anything else. */
  static decode(bytes: Uint8Array): AppSync { return new AppSync(wire.AppSync.decode(bytes)); }

  /** What makes `to` of `from`, but for the order of users who stay. */
  static diff(from: Participants, to: Participants): AppSync {
    const entry = ([user, roles]: [UserUri, readonly Role[]]): UserRoles => ({ user, roles });
    const changed = ([user, roles]: [UserUri, readonly Role[]]): boolean => from.get(user)?.join() !== roles.join();
    return new AppSync({
      addUsers: [...to].filter(([user]) => !from.has(user)).map(entry),
      updateUsers: [...to].filter(([user]) => from.has(user)).filter(changed).map(entry),
      removeUsers: [...from.keys()].filter((user) => !to.has(user)),
    });
  }

  /** Puts a user who is not on the list at its end. At least one role, none twice, `banned` alone. */
  add(user: UserUri, ...roles: readonly Role[]): AppSync {
    return new AppSync({ ...this.#struct, addUsers: [...this.#struct.addUsers, { user, roles }] });
  }

  /** Replaces the roles of a user who is on the list. */
  update(user: UserUri, ...roles: readonly Role[]): AppSync {
    return new AppSync({ ...this.#struct, updateUsers: [...this.#struct.updateUsers, { user, roles }] });
  }

  /** Takes a user off the list. */
  remove(user: UserUri): AppSync {
    return new AppSync({ ...this.#struct, removeUsers: [...this.#struct.removeUsers, user] });
  }

  /** Its members by the draft's names. */
  get struct(): AppSyncStruct { return this.#struct; }

  /** Whether it changes nothing. */
  get isEmpty(): boolean {
    const { addUsers, updateUsers, removeUsers } = this.#struct;
    return addUsers.length + updateUsers.length + removeUsers.length === 0;
  }

  /** The list after it. Throws `invalid-proposal` when it does not fit: an added user who is there, another who is not, a user named twice, wrong roles, nothing to do. */
  apply(list: Participants): Map<UserUri, readonly Role[]> {
    const before = wire.MimiParticipantList.encode({ participants: [...list].map(([user, roles]) => ({ user, roles })) });
    const after = call(() => applyAppSync(before, this.encode()));
    const { participants } = wire.MimiParticipantList.decode(after);
    return new Map(participants.map(({ user, roles }) => [user as UserUri, roles]));
  }

  /** Its bytes: the same in both profiles. */
  encode(): Bytes { return wire.AppSync.encode(this.#struct); }

  /** RFC 9420's `Proposal` that carries it: in profile B an AppDataUpdate of component 0xF022, in profile A a proposal of type 0xF0A5. */
  proposal(profile: Profile): Bytes { return call(() => owned(appSyncProposal(profile === "A", this.encode()))); }
}
