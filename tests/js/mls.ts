// RFC 9420's encodings and labels, over the algorithms of the module for tests.

/** The exports of the module for the vectors (`src/vectors.rs`). */
export interface VectorModule {
  initSync(input: { module: Uint8Array }): unknown;
  acceptedSuites(): Uint16Array;
  /** Decodes one value and encodes it again; throws when the bytes are none. */
  recode(kind: string, bytes: Uint8Array): Uint8Array;
  Suite: new (suite: number) => Suite;
  PassiveClient: new (keyPackage: Uint8Array, initKey: Uint8Array, encryptionKey: Uint8Array) => PassiveClient;
}

interface Suite {
  hashLength(): number;
  keyLength(): number;
  nonceLength(): number;
  refHash(label: string, value: Uint8Array): Uint8Array;
  hmac(key: Uint8Array, data: Uint8Array): Uint8Array;
  extract(salt: Uint8Array, secret: Uint8Array): Uint8Array;
  expand(secret: Uint8Array, info: Uint8Array, length: number): Uint8Array;
  open(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, ciphertext: Uint8Array): Uint8Array;
  hpkeSeal(key: Uint8Array, info: Uint8Array, text: Uint8Array): Uint8Array;
  hpkeOpen(key: Uint8Array, info: Uint8Array, sealed: Uint8Array): Uint8Array;
  sign(key: Uint8Array, label: string, content: Uint8Array): Uint8Array;
  verify(key: Uint8Array, label: string, content: Uint8Array, signature: Uint8Array): boolean;
}

interface PassiveClient {
  addPsk(id: Uint8Array, psk: Uint8Array): void;
  groupInfo(welcome: Uint8Array): Uint8Array;
  join(welcome: Uint8Array, tree: Uint8Array | undefined): Uint8Array;
  handle(message: Uint8Array): Uint8Array;
}

export const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
export const join = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** `opaque<V>`: the length in 1, 2 or 4 bytes, then the bytes. */
export function opaque(content: Uint8Array): Uint8Array {
  const length = content.length;
  if (length < 1 << 6) return join(Uint8Array.of(length), content);
  if (length < 1 << 14) return join(Uint8Array.of(0x40 | (length >> 8), length & 0xff), content);
  return join(Uint8Array.of(0x80 | (length >> 24), (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff), content);
}

/** Reads one field after the other. */
export class Reader {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take(length: number): Uint8Array {
    if (this.at + length > this.#bytes.length) throw new Error("truncated");
    this.at += length;
    return this.#bytes.slice(this.at - length, this.at);
  }

  opaque(): Uint8Array {
    const [first = 0] = this.take(1);
    const more = (1 << (first >> 6)) - 1;
    return this.take(this.take(more).reduce((length, byte) => length * 256 + byte, first & 0x3f));
  }

  uint32(): number {
    return this.take(4).reduce((value, byte) => value * 256 + byte, 0);
  }

  since(start: number): Uint8Array {
    return this.#bytes.slice(start, this.at);
  }

  rest(): Uint8Array {
    return this.take(this.#bytes.length - this.at);
  }

  end(): void {
    if (this.at !== this.#bytes.length) throw new Error("bytes left over");
  }
}

/** The algorithms of a suite with RFC 9420's labels (§5.1, §8, §9.1). */
export class Labelled {
  readonly #suite: Suite;
  readonly hashLength: number;
  readonly keyLength: number;
  readonly nonceLength: number;
  readonly refHash: Suite["refHash"];
  readonly hmac: Suite["hmac"];
  readonly extract: Suite["extract"];
  readonly sign: Suite["sign"];
  readonly verify: Suite["verify"];

  constructor(module: VectorModule, number: number) {
    const suite = new module.Suite(number);
    this.#suite = suite;
    this.hashLength = suite.hashLength();
    this.keyLength = suite.keyLength();
    this.nonceLength = suite.nonceLength();
    this.refHash = (label, value) => suite.refHash(label, value);
    this.hmac = (key, data) => suite.hmac(key, data);
    this.extract = (salt, secret) => suite.extract(salt, secret);
    this.sign = (key, label, content) => suite.sign(key, label, content);
    this.verify = (key, label, content, signature) => suite.verify(key, label, content, signature);
  }

  /** `ExpandWithLabel`. */
  expand(secret: Uint8Array, label: string, context: Uint8Array, length: number): Uint8Array {
    return this.#suite.expand(secret, join(Uint8Array.of(length >> 8, length & 0xff), labelled(label, context)), length);
  }

  /** `DeriveSecret`. */
  deriveSecret(secret: Uint8Array, label: string): Uint8Array {
    return this.expand(secret, label, new Uint8Array(), this.hashLength);
  }

  /** `DeriveTreeSecret`. */
  deriveTreeSecret(secret: Uint8Array, label: string, generation: number, length: number): Uint8Array {
    const context = new Uint8Array(4);
    new DataView(context.buffer).setUint32(0, generation);
    return this.expand(secret, label, context, length);
  }

  /** AEAD.Open. */
  open(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, ciphertext: Uint8Array): Uint8Array {
    return this.#suite.open(key, nonce, aad, ciphertext);
  }

  /** `EncryptWithLabel`: `kem_output<V>`, then `ciphertext<V>`. */
  encrypt(key: Uint8Array, label: string, context: Uint8Array, text: Uint8Array): Uint8Array {
    return this.#suite.hpkeSeal(key, labelled(label, context), text);
  }

  /** `DecryptWithLabel`. */
  decrypt(key: Uint8Array, label: string, context: Uint8Array, sealed: Uint8Array): Uint8Array {
    return this.#suite.hpkeOpen(key, labelled(label, context), sealed);
  }
}

/** `opaque label<V> = "MLS 1.0 " + label; opaque content<V>`. */
function labelled(label: string, content: Uint8Array): Uint8Array {
  return join(opaque(new TextEncoder().encode(`MLS 1.0 ${label}`)), opaque(content));
}
