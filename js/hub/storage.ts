// The rows of one object, in its SQL: what the core's storage is made of.

type Bytes = Uint8Array;
type Change = [key: Bytes, value: Bytes | undefined];

/**
 * The rows, and the object's name. The tables come with the first row: an object that was only asked
 * for, by whatever name, leaves nothing behind.
 */
export class ObjectRows {
  readonly #storage: DurableObjectStorage;
  #tablesExist = false;
  #name: string | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.reload();
  }

  /** Looks again what is stored: a transaction was rolled back. */
  reload(): void {
    const { sql } = this.#storage;
    this.#tablesExist = sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'kv'").toArray().length > 0;
    if (this.#tablesExist) this.#name ??= sql.exec<{ name: string }>("SELECT name FROM object").toArray()[0]?.name;
  }

  /** The object's name, if it was stored or told. */
  get name(): string | undefined {
    return this.#name;
  }

  /** Takes the name from whoever calls the object. */
  tell(name: string): void {
    this.#name ??= name;
  }

  read(key: Bytes): Bytes | undefined {
    if (!this.#tablesExist) return undefined;
    const row = this.#storage.sql.exec<{ value: ArrayBuffer }>("SELECT value FROM kv WHERE key = ?", key).toArray()[0];
    return row === undefined ? undefined : new Uint8Array(row.value);
  }

  scan(from: Bytes, before: Bytes | undefined, limit: number): Bytes[] {
    if (!this.#tablesExist) return [];
    const { sql } = this.#storage;
    const found = before === undefined
      ? sql.exec<{ key: ArrayBuffer; value: ArrayBuffer }>("SELECT key, value FROM kv WHERE key >= ? ORDER BY key LIMIT ?", from, limit)
      : sql.exec<{ key: ArrayBuffer; value: ArrayBuffer }>("SELECT key, value FROM kv WHERE key >= ? AND key < ? ORDER BY key LIMIT ?", from, before, limit);
    const cells: Bytes[] = [];
    for (const { key, value } of found) cells.push(new Uint8Array(key), new Uint8Array(value));
    return cells;
  }

  /** At most `limit` rows after a key, in order. */
  page(after: Bytes, limit: number): [Bytes, Bytes][] {
    if (!this.#tablesExist) return [];
    const found = this.#storage.sql.exec<{ key: ArrayBuffer; value: ArrayBuffer }>("SELECT key, value FROM kv WHERE key > ? ORDER BY key LIMIT ?", after, limit);
    return [...found].map(({ key, value }) => [new Uint8Array(key), new Uint8Array(value)]);
  }

  /** Writes something, to see whether that works. */
  touch(): void {
    const { sql } = this.#storage;
    sql.exec("CREATE TABLE IF NOT EXISTS touched(at INTEGER)");
    sql.exec("DELETE FROM touched");
    sql.exec("INSERT INTO touched VALUES (?)", Date.now());
  }

  /** All of them or none, also when the core goes on after an exception. */
  apply(changes: Change[]): void {
    try {
      this.#storage.transactionSync(() => { this.#write(changes); });
    } catch (error) {
      this.reload();
      throw error;
    }
  }

  #write(changes: Change[]): void {
    const { sql } = this.#storage;
    if (!this.#tablesExist) {
      sql.exec("CREATE TABLE kv(key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID");
      sql.exec("CREATE TABLE object(name TEXT)");
      sql.exec("INSERT INTO object VALUES (?)", this.#name ?? "");
      this.#tablesExist = true;
    }
    for (const [key, value] of changes) {
      if (value === undefined) sql.exec("DELETE FROM kv WHERE key = ?", key);
      else sql.exec("INSERT OR REPLACE INTO kv VALUES (?, ?)", key, value);
    }
  }
}
