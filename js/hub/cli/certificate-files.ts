/**
 * Certificates and keys in files: read, and looked at before anything runs with them.
 */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";

import type { CertifiedKey } from "./certificates.js";
import { CliError, systemCode } from "./errors.js";

const DAY_MILLIS = 86_400_000;

/** Reads a certificate, with its chain, and its key. Throws a CliError when they do not go together. */
export async function readCertifiedKey(certificatePath: string, keyPath: string): Promise<CertifiedKey> {
  const certificate = await read(certificatePath);
  const leaf = parse(certificatePath, () => new X509Certificate(certificate), "no certificate in PEM");
  const text = await read(keyPath);
  const key = parse(keyPath, () => createPrivateKey(text), "no private key in PEM");
  if (!leaf.checkPrivateKey(key)) {
    throw new CliError(`${keyPath} is not the key of ${certificatePath}`);
  }
  // PKCS#8, whatever it was.
  return { certificate, privateKey: key.export({ type: "pkcs8", format: "pem" }).toString() };
}

/** Throws a CliError unless the certificate, in PEM, is valid now and for `domain`. */
export function requireFor(domain: string, pem: string): void {
  const certificate = new X509Certificate(pem);
  const days = daysLeft(pem);
  if (days < 0) {
    throw new CliError(`the certificate of ${domain} ended on ${certificate.validTo}`);
  }
  if (Date.parse(certificate.validFrom) > Date.now()) {
    throw new CliError(`the certificate of ${domain} is not valid before ${certificate.validFrom}`);
  }
  if (certificate.checkHost(domain, { subject: "never" }) === undefined) {
    throw new CliError(`the certificate is not for ${domain}, but for ${certificate.subjectAltName ?? "no name"}`);
  }
}

/** How many days a certificate, in PEM, is still valid; less than 0 when it has ended. */
export function daysLeft(pem: string): number {
  return (Date.parse(new X509Certificate(pem).validTo) - Date.now()) / DAY_MILLIS;
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") {
      throw new CliError(`there is no ${path}: mimi-hub keygen makes one of a private CA`);
    }
    throw error;
  }
}

function parse<T>(path: string, act: () => T, fault: string): T {
  try {
    return act();
  } catch {
    throw new CliError(`${path} holds ${fault}`);
  }
}
