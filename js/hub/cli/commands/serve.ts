/**
 * `mimi-hub serve`: a provider for real, on a machine of its operator.
 */

import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";

import { readAddress, readPeers, textOf, textsOf, usage, type Command, type Values } from "../arguments.js";
import { CERTIFICATE_FILE, KEY_FILE } from "./keygen.js";
import { readCertifiedKey, requireFor } from "../certificate-files.js";
import { readConfigFile } from "../config-file.js";
import { CliError, systemCode } from "../errors.js";
import { HUB_KEYS_FILE, hubKeys } from "../hub-key.js";
import { PEER_KEYS_FILE, peerKeys } from "../peer-keys.js";
import { runProvider, type Provider, type Setup } from "../run-provider.js";
import { print, signalled, WORKER } from "../running.js";
import { StateFolder } from "../state-folder.js";

/** How long requests in flight have when it is stopped. */
const GRACE_MILLIS = 10_000;

export const SERVE: Command = {
  name: "serve",
  help: `serve                      run a provider for real, until SIGTERM; its log is on standard output
    --config FILE            the configuration (default hub.jsonc)
    --state DIR              where the state is kept (default state)
    --keys DIR               its keys, as keygen writes them (default keys)
    --cert FILE --key FILE   instead of the certificate and key in there: for its domain, PEM
    --peer-ca FILE           the CA of the other providers' certificates, PEM
    --providers HOST:PORT    where other providers connect, with mutual TLS (default 0.0.0.0:8443)
    --clients HOST:PORT      where devices connect (default 127.0.0.1:8801): plain HTTP, for a proxy
    --client-cert FILE --client-key FILE
                             where devices connect, speak HTTPS with this certificate
    --peer D2=HOST:PORT      where another provider is, if not where its domain says; may be repeated`,
  options: {
    config: { type: "string" },
    state: { type: "string" },
    keys: { type: "string" },
    cert: { type: "string" },
    key: { type: "string" },
    "peer-ca": { type: "string" },
    providers: { type: "string" },
    clients: { type: "string" },
    "client-cert": { type: "string" },
    "client-key": { type: "string" },
    peer: { type: "string", multiple: true },
  },
  async run(values) {
    const setup = await readSetup(values);
    const state = await StateFolder.take(textOf(values, "state") ?? "state", "keep");
    let provider: Provider;
    const stopped = signalled();
    try {
      provider = await runProvider(setup, state);
    } catch (error) {
      await state.release();
      throw inWords(error);
    }
    print(`${provider.domain}: clients ${provider.clientUrl}, providers ${provider.mimiUrl} (mutual TLS)`);
    print("ready");
    const failure = await Promise.race([stopped, provider.ended]);
    await provider.stop();
    if (failure !== undefined) {
      throw new CliError(failure);
    }
    return 0;
  },
};

async function readSetup(values: Values): Promise<Setup> {
  const file = textOf(values, "config");
  const { config } = await readConfigFile(file);
  const { domain } = config;
  const keys = textOf(values, "keys") ?? "keys";
  const keypair = await readCertifiedKey(
    textOf(values, "cert") ?? join(keys, CERTIFICATE_FILE),
    textOf(values, "key") ?? join(keys, KEY_FILE),
  );
  requireFor(domain, keypair.certificate);
  const hubKeysFile = join(keys, HUB_KEYS_FILE);
  await mkdir(dirname(hubKeysFile), { recursive: true, mode: 0o700 });
  await hubKeys(keys);
  await peerKeys(keys);
  const peerCa = textOf(values, "peer-ca");
  if (peerCa === undefined) {
    throw usage("--peer-ca is missing: the CA of the other providers' certificates");
  }
  return {
    domain,
    settings: JSON.stringify(config),
    clients: readAddress("clients", textOf(values, "clients") ?? "127.0.0.1:8801"),
    providers: readAddress("providers", textOf(values, "providers") ?? "0.0.0.0:8443"),
    hubKeysFile,
    peerKeysFile: join(keys, PEER_KEYS_FILE),
    keypair,
    trustedCertificate: await readAuthority(peerCa),
    clientKeypair: await readClientKeypair(values),
    peers: readPeers(domain, textsOf(values, "peer")),
    isDevelopment: false,
    reachesPublic: true,
    worker: WORKER,
    trace: false,
    onLog: print,
    graceMillis: GRACE_MILLIS,
  };
}

async function readClientKeypair(values: Values): Promise<Setup["clientKeypair"]> {
  const [certificate, key] = [textOf(values, "client-cert"), textOf(values, "client-key")];
  if (certificate === undefined && key === undefined) {
    return undefined;
  }
  if (certificate === undefined || key === undefined) {
    throw usage("--client-cert and --client-key go together");
  }
  return await readCertifiedKey(certificate, key);
}

async function readAuthority(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new CliError(`--peer-ca ${path}: ${systemCode(error) === "ENOENT" ? "there is no such file" : String(error)}`);
  }
}

/** A port that is taken, or not ours to take. */
function inWords(error: unknown): unknown {
  const code = systemCode(error);
  return code === "EADDRINUSE" || code === "EACCES" ? new CliError((error as Error).message) : error;
}
