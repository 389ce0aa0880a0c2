// What a TLS terminator would tell of a peer: its certificate, verified. Between the providers of a
// page there is no TLS, so the certificate is one in form only: it names the domain.

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const UTC_TIME = 0x17;
/** The version and the extensions of a certificate, and a DNS name, by their context tags. */
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
const DNS_NAME = 0x82;
/** 1.3.101.112, Ed25519. */
const ED25519 = [0x2b, 0x65, 0x70];
/** 2.5.29.17, subjectAltName. */
const SUBJECT_ALT_NAME = [0x55, 0x1d, 0x11];

/** `request.cf.tlsClientAuth` for a peer of this domain. */
export function verifiedPeer(domain: string): Record<string, string> {
  return { certPresented: "1", certVerified: "SUCCESS", certRevoked: "0", certRFC9440: `:${btoa(String.fromCharCode(...certificate(domain)))}:` };
}

/** A certificate in DER (RFC 5280 §4.1). */
function certificate(domain: string): number[] {
  const name = der(SEQUENCE);
  const algorithm = der(SEQUENCE, der(OBJECT_IDENTIFIER, ED25519));
  const validity = der(SEQUENCE, der(UTC_TIME, ascii("260101000000Z")), der(UTC_TIME, ascii("490101000000Z")));
  const key = der(SEQUENCE, algorithm, der(BIT_STRING, Array.from({ length: 33 }, () => 0)));
  const names = der(OCTET_STRING, der(SEQUENCE, der(DNS_NAME, ascii(domain))));
  const extensions = der(EXTENSIONS, der(SEQUENCE, der(SEQUENCE, der(OBJECT_IDENTIFIER, SUBJECT_ALT_NAME), names)));
  const signed = der(SEQUENCE, der(VERSION, der(INTEGER, [2])), der(INTEGER, [1]), algorithm, name, validity, name, key, extensions);
  return der(SEQUENCE, signed, algorithm, der(BIT_STRING, Array.from({ length: 65 }, () => 0)));
}

/** One value: tag, length, content. */
function der(tag: number, ...contents: number[][]): number[] {
  const content = contents.flat();
  const { length } = content;
  return [tag, ...(length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]), ...content];
}

function ascii(text: string): number[] { return [...text].map((character) => character.charCodeAt(0)); }
