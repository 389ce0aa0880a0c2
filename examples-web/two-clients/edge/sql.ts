// An object's SQL in memory: the statements of js/hub/storage.ts and no others, with what SQLite makes of them.

type Blob = Uint8Array;
type Cell = ArrayBuffer | string | number;
type Result = Record<string, Cell>;
interface Tables {
  /** In the order of the keys. */
  kv?: readonly (readonly [key: Blob, value: Blob])[];
  object?: readonly string[];
}

/** What an object stores: tables, whose transactions roll back, and the time of its alarm. */
export class MemoryStorage {
  #tables: Tables = {};
  readonly #setAlarm: (at: number) => void;

  constructor(setAlarm: (at: number) => void = () => undefined) { this.#setAlarm = setAlarm; }

  readonly sql = {
    exec: (statement: string, ...values: readonly unknown[]): { toArray(): Result[]; [Symbol.iterator](): Iterator<Result> } => {
      const run = Object.hasOwn(STATEMENTS, statement) ? STATEMENTS[statement] : undefined;
      if (run === undefined) throw new Error(`no such statement here: ${statement}`);
      const rows = run(this.#tables, values);
      return { toArray: () => rows, [Symbol.iterator]: () => rows[Symbol.iterator]() };
    },
  };

  /** All that `act` writes, or nothing when it throws; also within another transaction. */
  transactionSync<T>(act: () => T): T {
    // Tables are replaced and never changed: this is a copy.
    const before = { ...this.#tables };
    try {
      return act();
    } catch (error) {
      this.#tables = before;
      throw error;
    }
  }

  async setAlarm(at: number): Promise<void> { this.#setAlarm(at); }
}

const STATEMENTS: Record<string, (tables: Tables, values: readonly unknown[]) => Result[]> = {
  "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'kv'": ({ kv }) => (kv === undefined ? [] : [{ 1: 1 }]),
  "SELECT name FROM object": (tables) => existing(tables.object, "object").map((name) => ({ name })),
  "SELECT value FROM kv WHERE key = ?": (tables, [key]) =>
    rowsOf(tables).filter(([other]) => order(other, key as Blob) === 0).map(([, value]) => ({ value: buffer(value) })),
  "SELECT key, value FROM kv WHERE key >= ? ORDER BY key LIMIT ?": (tables, [from, limit]) =>
    scan(tables, (key) => order(key, from as Blob) >= 0, limit),
  "SELECT key, value FROM kv WHERE key >= ? AND key < ? ORDER BY key LIMIT ?": (tables, [from, before, limit]) =>
    scan(tables, (key) => order(key, from as Blob) >= 0 && order(key, before as Blob) < 0, limit),
  "CREATE TABLE kv(key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID": (tables) => {
    if (tables.kv !== undefined) throw new Error("table kv already exists: SQLITE_ERROR");
    tables.kv = [];
    return [];
  },
  "CREATE TABLE object(name TEXT)": (tables) => {
    if (tables.object !== undefined) throw new Error("table object already exists: SQLITE_ERROR");
    tables.object = [];
    return [];
  },
  "INSERT INTO object VALUES (?)": (tables, [name]) => {
    tables.object = [...existing(tables.object, "object"), name as string];
    return [];
  },
  "DELETE FROM kv WHERE key = ?": (tables, [key]) => {
    tables.kv = rowsOf(tables).filter(([other]) => order(other, key as Blob) !== 0);
    return [];
  },
  "INSERT OR REPLACE INTO kv VALUES (?, ?)": (tables, [key, value]) => {
    const rows = rowsOf(tables);
    const at = rows.findIndex(([other]) => order(other, key as Blob) >= 0);
    const [before, after] = at < 0 ? [rows, []] : [rows.slice(0, at), rows.slice(at)];
    const [next] = after;
    const replaced = next !== undefined && order(next[0], key as Blob) === 0;
    tables.kv = [...before, [(key as Blob).slice(), (value as Blob).slice()], ...after.slice(replaced ? 1 : 0)];
    return [];
  },
};

function existing<T>(table: T | undefined, name: string): T {
  if (table === undefined) throw new Error(`no such table: ${name}: SQLITE_ERROR`);
  return table;
}

function rowsOf({ kv }: Tables): NonNullable<Tables["kv"]> { return existing(kv, "kv"); }

function scan(tables: Tables, isWanted: (key: Blob) => boolean, limit: unknown): Result[] {
  const most = (limit as number) < 0 ? Infinity : (limit as number);
  return rowsOf(tables).filter(([key]) => isWanted(key)).slice(0, most).map(([key, value]) => ({ key: buffer(key), value: buffer(value) }));
}

/** As SQLite compares BLOBs: byte by byte, and what goes on is greater. */
function order(one: Blob, other: Blob): number {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at += 1) {
    const difference = (one[at] ?? 0) - (other[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return one.length - other.length;
}

function buffer(bytes: Blob): ArrayBuffer { return bytes.slice().buffer as ArrayBuffer; }
