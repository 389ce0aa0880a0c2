// The TLS presentation language (RFC 8446, 3) with the vectors of RFC 9420, 2.1.2, as far as the peers
// in the tests need it. Written from the RFCs: it shares nothing with the codec that it is tested against.

const TEXT = { encoder: new TextEncoder(), decoder: new TextDecoder("utf-8", { fatal: true }) };

/** Bytes one after the other. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** An unsigned integer of this many bytes. */
export function uint(bytes: 1 | 2 | 4 | 8, value: number | bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(value));
  return new Uint8Array(view.buffer, 8 - bytes);
}

/** `opaque<V>`, and any `T<V>` whose elements are encoded. */
export function vector(...elements: readonly Uint8Array[]): Uint8Array {
  const content = concat(...elements);
  const { length } = content;
  if (length < 1 << 6) return concat(uint(1, length), content);
  if (length < 1 << 14) return concat(uint(2, (1 << 14) | length), content);
  return concat(uint(4, 0x80000000 + length), content);
}

/** `opaque<V>` of UTF-8. */
export function text(value: string): Uint8Array { return vector(TEXT.encoder.encode(value)); }

/** `optional<T>` of an encoded value. */
export function optional(value: Uint8Array | undefined): Uint8Array {
  return value === undefined ? uint(1, 0) : concat(uint(1, 1), value);
}

/** Reads one field after the other; throws when there is not enough. */
export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) { this.#bytes = bytes; }

  get done(): boolean { return this.#at === this.#bytes.length; }

  take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Error("too short");
    const taken = this.#bytes.slice(this.#at, end);
    this.#at = end;
    return taken;
  }

  uint(bytes: 1 | 2 | 4 | 8): bigint {
    return this.take(bytes).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  /** A small unsigned integer, or a boolean as 0 or 1. */
  number(bytes: 1 | 2 | 4): number { return Number(this.uint(bytes)); }

  vector(): Uint8Array {
    const first = this.number(1);
    const longer = first >> 6;
    if (longer === 3) throw new Error("no length");
    const rest = this.take((1 << longer) - 1);
    return this.take(rest.reduce((length, byte) => length * 256 + byte, first & 0x3f));
  }

  text(): string { return TEXT.decoder.decode(this.vector()); }

  /** What `decode` reads from here on: a value and how many bytes it took. */
  with<T>(decode: (bytes: Uint8Array, offset: number) => [T, number] | undefined): { readonly value: T; readonly bytes: Uint8Array } {
    const decoded = decode(this.#bytes, this.#at);
    if (decoded === undefined) throw new Error("does not decode");
    return { value: decoded[0], bytes: this.take(decoded[1]) };
  }

  /** All of a vector's elements. */
  elements<T>(read: (reader: Reader) => T): T[] {
    const inside = new Reader(this.vector());
    const values: T[] = [];
    while (!inside.done) values.push(read(inside));
    return values;
  }
}
