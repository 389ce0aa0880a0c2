import { MimiError } from "../errors.js";
import type { Bytes } from "../message.js";
import type { Row, RowChange } from "../store.js";

/** The keys of one store. */
export interface SealKeys {
  /** HMAC-SHA-256, which makes records' ids. */
  readonly name: CryptoKey;
  /** AES-256-GCM, which seals records. */
  readonly seal: CryptoKey;
}

/** A row as it lies on disk. */
export interface SealedRow { readonly id: Bytes; readonly record: Bytes }
/** A change as it goes to disk: the new record, or `null` for its deletion. */
export interface SealedChange { readonly id: Bytes; readonly record: Bytes | null }

/** Length of a record's id, in bytes. */
const ID_BYTES = 16;
/** Length of AES-GCM's nonce, in bytes: random, as no store sees 2^32 writes. */
const NONCE_BYTES = 12;
/** Length of AES-GCM's tag, in bytes. */
const TAG_BYTES = 16;
/** What stands before a row's key: its length, in bytes. */
const LENGTH_BYTES = 4;
/** What the channel's name is made of. It is no row's key, and more of the HMAC than an id shows. */
const CHANNEL = new TextEncoder().encode("mimi-edge store 2 channel");

/**
 * Seals rows and opens them again. A record's id is `HMAC(name, row key)`, cut to 16 bytes; the record is
 * `nonce ‖ AES-GCM(seal, row key's length ‖ row key ‖ value)` with the id as additional data. Who has
 * the records without the keys sees how many there are and how long each is; it cannot read or change
 * one, or put one in another's place. Older records, or fewer of them, it can bring back.
 */
export class Sealer {
  readonly #keys: SealKeys;

  constructor(keys: SealKeys) { this.#keys = keys; }

  /** All changes of a delta, sealed. */
  async changes(changes: readonly RowChange[]): Promise<SealedChange[]> {
    return await Promise.all(changes.map(async ({ key, value }) => (value === null ? { id: await this.#idOf(key), record: null } : await this.seal({ key, value }))));
  }

  /** All rows of these records. Rejects with `storage-damaged` when one does not open. */
  async rows(records: readonly SealedRow[]): Promise<Row[]> {
    return await Promise.all(records.map((record) => this.open(record)));
  }

  /** One row, sealed. */
  async seal({ key, value }: Row): Promise<SealedRow> {
    const id = await this.#idOf(key);
    const plain = new Uint8Array(LENGTH_BYTES + key.length + value.length);
    new DataView(plain.buffer).setUint32(0, key.length);
    plain.set(key, LENGTH_BYTES);
    plain.set(value, LENGTH_BYTES + key.length);
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce, additionalData: id }, this.#keys.seal, plain);
    const record = new Uint8Array(NONCE_BYTES + sealed.byteLength);
    record.set(nonce);
    record.set(new Uint8Array(sealed), NONCE_BYTES);
    return { id, record };
  }

  /** The row of a record. Rejects with `storage-damaged` when it was not sealed with these keys for this id. */
  async open({ id, record }: SealedRow): Promise<Row> {
    if (record.length < NONCE_BYTES + TAG_BYTES + LENGTH_BYTES) throw damaged();
    const nonce = record.subarray(0, NONCE_BYTES);
    const plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv: nonce, additionalData: id }, this.#keys.seal, record.subarray(NONCE_BYTES)).catch((error: unknown) => { throw damaged(error); });
    const start = LENGTH_BYTES + new DataView(plain).getUint32(0);
    return { key: new Uint8Array(plain, LENGTH_BYTES, start - LENGTH_BYTES), value: new Uint8Array(plain, start) };
  }

  /** A name that only who has the keys can tell. */
  async channel(): Promise<string> {
    return [...await this.#macOf(CHANNEL)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  async #idOf(key: Uint8Array): Promise<Bytes> {
    return (await this.#macOf(key)).slice(0, ID_BYTES);
  }

  async #macOf(message: Uint8Array): Promise<Bytes> {
    return new Uint8Array(await crypto.subtle.sign("HMAC", this.#keys.name, message as Bytes));
  }
}

/** What is stored is not what was stored. Nothing is deleted for it. */
export function damaged(cause?: unknown): MimiError {
  return new MimiError("storage-damaged", "what is stored was changed or is incomplete", { cause });
}
