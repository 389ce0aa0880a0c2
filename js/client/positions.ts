/** Up to which place a face knows each room's log. That only grows, until the room is no more. */
export class Positions {
  readonly #known = new Map<string, number>();

  /** Notes that a room's log is known up to this place. Says whether it was not before. */
  advance(room: string, position: number): boolean {
    const isNew = position > (this.#known.get(room) ?? -1);
    if (isNew) this.#known.set(room, position);
    return isNew;
  }

  /** The room is no more; another one of its address has another log. */
  forget(room: string): void { this.#known.delete(room); }

  /** The places, by room. */
  all(): Readonly<Record<string, number>> { return Object.fromEntries(this.#known); }
}
