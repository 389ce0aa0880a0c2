// What is measured of an MLS implementation: from bytes to bytes, as a messenger would use it.

/** RFC 9420, 17.1. */
export type Suite = 1 | 3;

/** A commit that is made, not applied. */
export interface Made {
  readonly commit: Uint8Array;
  /** When it adds somebody. */
  readonly welcome?: Uint8Array;
  /** The ratchet tree after it. */
  readonly tree: Uint8Array;
}

/** One implementation. A `Person` is a device with a KeyPackage that may be used again and again. */
export interface Stack<Person, Room> {
  readonly name: string;
  /** Makes a device and its KeyPackage. */
  person(name: string, suite: Suite): Promise<Person>;
  /** Makes one more KeyPackage of a device. */
  keyPackage(person: Person): Promise<Uint8Array>;
  create(person: Person): Promise<Room>;
  join(person: Person, welcome: Uint8Array, tree: Uint8Array): Promise<Room>;
  /** Makes a commit that adds these, or, of nobody, one that renews the committer's keys. */
  commit(room: Room, added: readonly Person[]): Promise<Made>;
  /** Applies the commit that was made last. */
  accept(room: Room): Promise<void>;
  /** Forgets the commit that was made last. */
  reject(room: Room): Promise<void>;
  /** Applies another's commit. */
  process(room: Room, commit: Uint8Array): Promise<void>;
  encrypt(room: Room, content: Uint8Array): Promise<Uint8Array>;
  decrypt(room: Room, message: Uint8Array): Promise<Uint8Array>;
  /** What tells one epoch from another. */
  authenticator(room: Room): Uint8Array;
}
