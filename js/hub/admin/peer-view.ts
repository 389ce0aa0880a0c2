// What the admin API says of another provider; the command line reads it.

/** Another provider, for the operator. */
export interface PeerView {
  readonly peer: string;
  /** When it was met first; null when that is not in the index. */
  since: number | null;
  /** How much waits for it, in how many rooms and users. */
  entries: number;
  objects: number;
  /** Since when what waits longest cannot be sent. */
  failingSince: number | null;
  /** How many rooms have given it up. */
  givenUp: number;
}
