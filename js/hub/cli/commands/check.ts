/**
 * `mimi-hub check`: what an operator wants to know before anybody complains.
 */

import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";

import { requireDomain, textOf, type Command, type Values } from "../arguments.js";
import { daysLeft, readCertifiedKey, requireFor } from "../certificate-files.js";
import type { CertifiedKey } from "../certificates.js";
import { readConfigFile } from "../config-file.js";
import { CliError } from "../errors.js";
import { readIfPresent } from "../files.js";
import { HUB_KEYS_FILE } from "../hub-key.js";
import { print } from "../running.js";
import { CERTIFICATE_FILE, KEY_FILE } from "./keygen.js";

/** A certificate that ends sooner is a warning, in days. */
const SOON_DAYS = 14;
const TIMEOUT_MILLIS = 10_000;
const DIRECTORY = "/.well-known/mimi-protocol-directory";

export const CHECK: Command = {
  name: "check",
  help: `check [PEER]               configuration, keys and certificate; whether another provider answers us
    --config FILE --keys DIR --peer-ca FILE
                             as with serve
    --address HOST:PORT      where the other provider is, if not where its domain says;
                             status 0: fine, 1: a warning, 2: something is wrong`,
  options: { config: { type: "string" }, keys: { type: "string" }, "peer-ca": { type: "string" }, address: { type: "string" } },
  operands: ["[PEER]"],
  async run(values, [peer]) {
    let worst = 0;
    const say = (status: 0 | 1 | 2, what: string): void => {
      print(`${["ok     ", "warning", "wrong  "][status] ?? ""} ${what}`);
      worst = Math.max(worst, status);
    };
    const keys = textOf(values, "keys") ?? "keys";
    const domain = await attempt(say, "configuration", async () => (await readConfigFile(textOf(values, "config"))).config.domain);
    await attempt(say, "hub keys", () => readHubKeys(keys));
    const keypair = await attempt(say, "certificate", async () => await readPair(domain, keys));
    if (keypair !== undefined) {
      const days = Math.floor(daysLeft(keypair.certificate));
      say(days < SOON_DAYS ? 1 : 0, `certificate: ${String(days)} days left`);
    }
    if (peer !== undefined && keypair !== undefined) await attempt(say, `${requireDomain(peer)}: its directory`, () => askPeer(peer, keypair, values));
    return worst;
  },
};

/** Says how it went; what it came to, if it went well. */
async function attempt<T>(say: (status: 0 | 2, what: string) => void, what: string, act: () => Promise<T>): Promise<T | undefined> {
  try {
    const result = await act();
    say(0, what);
    return result;
  } catch (error) {
    say(2, `${what}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

async function readHubKeys(keys: string): Promise<void> {
  const text = await readIfPresent(join(keys, HUB_KEYS_FILE));
  if (text === undefined) throw new CliError(`there is no ${join(keys, HUB_KEYS_FILE)}: mimi-hub keygen makes it`);
  const { ed25519, public: own } = JSON.parse(text) as Record<string, unknown>;
  if (typeof ed25519 !== "string" || typeof own !== "string") throw new CliError(`${join(keys, HUB_KEYS_FILE)} holds no keys`);
}

async function readPair(domain: string | undefined, keys: string): Promise<CertifiedKey> {
  const pair = await readCertifiedKey(join(keys, CERTIFICATE_FILE), join(keys, KEY_FILE));
  if (domain !== undefined) requireFor(domain, pair.certificate);
  return pair;
}

/** Asks another provider for its directory, as this provider would, with its certificate. */
async function askPeer(peer: string, { certificate, privateKey }: CertifiedKey, values: Values): Promise<void> {
  const [host = peer, port = "443"] = (textOf(values, "address") ?? `${peer}:443`).split(":");
  const ca = textOf(values, "peer-ca");
  const trusted = ca === undefined ? {} : { ca: await readFile(ca) };
  const status = await new Promise<number>((resolve, reject) => {
    const asking = request({ host, port, path: DIRECTORY, servername: peer, headers: { host: peer }, cert: certificate, key: privateKey, timeout: TIMEOUT_MILLIS, ...trusted }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    asking.on("timeout", () => { asking.destroy(new Error("it does not answer")); });
    asking.on("error", reject);
    asking.end();
  });
  if (status !== 200) throw new CliError(`it answers ${String(status)}`);
}
