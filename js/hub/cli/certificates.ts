/**
 * Certificates for development and tests: one CA, made once, and a certificate per domain that
 * serves both sides of mutual TLS (WIRE R2). P-256 keys in PKCS#8; everything in PEM.
 */

import "reflect-metadata";

import { webcrypto } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import * as x509 from "@peculiar/x509";

import { CliError } from "./errors.js";
import { readOrCreate, replaceFile } from "./files.js";

/** A private key and the certificate for its public key, both in PEM. */
export interface CertifiedKey {
  readonly privateKey: string;
  readonly certificate: string;
}

/** What a certificate may be used for. */
export type Usage = "serverAuth" | "clientAuth";

const KEY_ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNING_ALGORITHM = { name: "ECDSA", hash: "SHA-256" } as const;
const HOUR_MILLIS = 3_600_000;
const YEAR_MILLIS = 365 * 24 * HOUR_MILLIS;
/** Key and certificate of the CA, in one file so that they are made at once. */
const AUTHORITY_FILE = "ca.pem";
/** The certificate alone, for `curl --cacert`. */
export const AUTHORITY_CERTIFICATE_FILE = "ca-certificate.pem";

x509.cryptoProvider.set(webcrypto as Crypto);

/**
 * The CA kept in `folder`, made if there is none. Providers that start at the same moment end up
 * with one and the same.
 */
export async function developmentAuthority(folder: string): Promise<CertifiedKey> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const text = await readOrCreate(join(folder, AUTHORITY_FILE), async () => {
    const made = await createAuthority("mimi-hub development CA");
    return made.privateKey + made.certificate;
  });
  const [privateKey, certificate] = text.match(/-----BEGIN [^]*?-----END [A-Z ]+-----\n/g) ?? [];
  if (privateKey === undefined || certificate === undefined) {
    throw new CliError(`${join(folder, AUTHORITY_FILE)} does not hold a key and a certificate`);
  }
  await replaceFile(join(folder, AUTHORITY_CERTIFICATE_FILE), certificate);
  return { privateKey, certificate };
}

/** A new CA. */
export async function createAuthority(commonName: string): Promise<CertifiedKey> {
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [commonName] }],
    keys: keys as CryptoKeyPair,
    signingAlgorithm: SIGNING_ALGORITHM,
    ...validity(10 * YEAR_MILLIS),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey as CryptoKey),
    ],
  });
  return encode(keys.privateKey, certificate);
}

/** A certificate for `domain` from `authority`: its SAN is the domain, its default uses are both. */
export async function issueCertificate(
  authority: CertifiedKey,
  domain: string,
  usages: readonly Usage[] = ["serverAuth", "clientAuth"],
): Promise<CertifiedKey> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: [{ CN: [domain] }],
    issuer: issuer.subject,
    publicKey: keys.publicKey as CryptoKey,
    signingKey: await signingKey(authority.privateKey),
    signingAlgorithm: SIGNING_ALGORITHM,
    ...validity(YEAR_MILLIS),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages.map((usage) => x509.ExtendedKeyUsage[usage])),
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: domain }]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey as CryptoKey),
    ],
  });
  return encode(keys.privateKey, certificate);
}

/** From an hour ago, for peers whose clocks differ. */
function validity(millis: number): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - HOUR_MILLIS), notAfter: new Date(now + millis) };
}

async function signingKey(pem: string): Promise<CryptoKey> {
  const [der] = x509.PemConverter.decode(pem);
  if (der === undefined) {
    throw new TypeError("not a private key in PEM");
  }
  const key = await webcrypto.subtle.importKey("pkcs8", der, KEY_ALGORITHM, false, ["sign"]);
  return key as CryptoKey;
}

async function encode(
  privateKey: webcrypto.CryptoKey,
  certificate: x509.X509Certificate,
): Promise<CertifiedKey> {
  const der = await webcrypto.subtle.exportKey("pkcs8", privateKey);
  return {
    privateKey: `${x509.PemConverter.encode(der, x509.PemConverter.PrivateKeyTag)}\n`,
    certificate: `${certificate.toString("pem")}\n`,
  };
}
