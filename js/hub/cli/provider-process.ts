/**
 * A provider in development, started and stopped by a program. The command line, the demo and the tests
 * run providers through this module.
 */

import { join } from "node:path";

import { developmentAuthority, issueCertificate } from "./certificates.js";
import { hubKeys } from "./hub-key.js";
import { PEER_KEYS_FILE, peerKeys } from "./peer-keys.js";
import { freePortPair, LOOPBACK, requireFree } from "./ports.js";
import { runProvider, type Provider } from "./run-provider.js";
import { StateFolder } from "./state-folder.js";
import type { Peer } from "./workerd-config.js";

export { freePortPair } from "./ports.js";
export type { Provider } from "./run-provider.js";
export type { Peer } from "./workerd-config.js";

export interface ProviderOptions {
  readonly domain: string;
  /** Clients connect here, other providers to the next port; 0 chooses two free ones. */
  readonly port: number;
  readonly peers: readonly Peer[];
  /** The folder of the development CA; shared by the providers that are to trust each other. */
  readonly caDir: string;
  /** The folder of this provider's state. */
  readonly stateDir: string;
  /** Empties the state first; false by default. */
  readonly fresh?: boolean;
  /** Has the Worker trace what it exchanges, for `GET /dev/trace` and `onTrace`; false by default. */
  readonly trace?: boolean;
  /** Gets a line for each exchange with another provider: one JSON object, without the bodies. */
  readonly onTrace?: (line: string) => void;
  /** Gets what else workerd and the Worker write; standard error by default. */
  readonly onLog?: (line: string) => void;
  /** `allow` by default. */
  readonly consent?: "allow" | "ask";
  /** `hidden` by default. */
  readonly unknownUsers?: "hidden" | "told";
  /** Further settings, as sections and names of hub.jsonc. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** The main module of the hub's Worker, with its wasm beside it. */
  readonly worker: string;
}

const GRACE_MILLIS = 2_000;

/** Starts a provider; it takes requests when the promise resolves. */
export async function startProvider(options: ProviderOptions): Promise<Provider> {
  const port = options.port === 0 ? await freePortPair() : options.port;
  const state = await StateFolder.take(options.stateDir, options.fresh ? "empty" : "keep");
  try {
    return await start(options, state, port);
  } catch (error) {
    await state.release();
    throw error;
  }
}

async function start(options: ProviderOptions, state: StateFolder, port: number): Promise<Provider> {
  await requireFree(port);
  await requireFree(port + 1);
  const authority = await developmentAuthority(options.caDir);
  await hubKeys(state.path);
  await peerKeys(state.path);
  const setup = {
    domain: options.domain,
    settings: settingsOf(options),
    clients: { host: LOOPBACK, port },
    providers: { host: LOOPBACK, port: port + 1 },
    hubKeysFile: state.hubKeysFile,
    peerKeysFile: join(state.path, PEER_KEYS_FILE),
    keypair: await issueCertificate(authority, options.domain),
    trustedCertificate: authority.certificate,
    peers: options.peers,
    isDevelopment: true,
    reachesPublic: false,
    worker: options.worker,
    trace: options.trace ?? false,
    onTrace: options.onTrace,
    onLog: options.onLog ?? ((line: string) => process.stderr.write(`${line}\n`)),
    graceMillis: GRACE_MILLIS,
  };
  return await runProvider(setup, state);
}

/** The text of hub.jsonc in development. */
function settingsOf({ domain, consent, unknownUsers, settings }: ProviderOptions): string {
  return JSON.stringify({
    domain,
    consent: consent ?? "allow",
    unknownUsers: unknownUsers ?? "hidden",
    registration: "open",
    log: { level: "warn" },
    ...settings,
  });
}
