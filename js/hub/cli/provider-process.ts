/**
 * A provider in development: one workerd process and its TLS terminator, started and stopped by a
 * program. The command line, the demo and the tests run providers through this module.
 */

import { developmentAuthority, issueCertificate, type CertifiedKey } from "./certificates.js";
import { replaceFile } from "./files.js";
import { hubKeys } from "./hub-key.js";
import { freePortPair, LOOPBACK, requireFree } from "./ports.js";
import { identify } from "./processes.js";
import { StateFolder } from "./state-folder.js";
import { startTerminator, type Terminator } from "./terminator.js";
import { startTraceStream, type TraceStream } from "./trace-stream.js";
import {
  LISTENERS,
  workerdConfig,
  workerModules,
  type ConsentDefault,
  type Peer,
  type UnknownUsers,
} from "./workerd-config.js";
import { startWorkerd, type WorkerdProcess } from "./workerd-process.js";

export { freePortPair } from "./ports.js";
export type { ConsentDefault, Peer, UnknownUsers } from "./workerd-config.js";

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
  readonly consent?: ConsentDefault;
  /** `hidden` by default. */
  readonly unknownUsers?: UnknownUsers;
  /** Further settings, as sections and names of hub.jsonc. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** The main module of the hub's Worker, with its wasm beside it. */
  readonly worker: string;
}

export interface Provider {
  readonly domain: string;
  /** `http://HOST:PORT/client/v1`. */
  readonly clientUrl: string;
  /** `https://HOST:PORT`; what a `Peer` has as its address is the part behind the slashes. */
  readonly mimiUrl: string;
  /** The unix socket of the operator's requests. */
  readonly adminSocketPath: string;
  /** workerd's process number. */
  readonly pid: number;
  /** Resolves when workerd has ended, for whatever reason, to words for it. */
  readonly ended: Promise<string>;
  /** Ends it in order: requests in flight have two seconds. */
  stop(): Promise<void>;
  /** Ends it as a crash would: `kill -9` to workerd, connections cut. */
  kill9(): Promise<void>;
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

async function start(
  options: ProviderOptions,
  state: StateFolder,
  port: number,
): Promise<Provider> {
  await requireFree(port);
  await requireFree(port + 1);
  const authority = await developmentAuthority(options.caDir);
  const keypair = await issueCertificate(authority, options.domain);
  await hubKeys(state.path);
  const config = workerdConfig({
    settings: settingsOf(options),
    clientAddress: `${LOOPBACK}:${port}`,
    socketPath: state.socketPath,
    adminSocketPath: state.adminSocketPath,
    objectsFolder: state.objectsFolder,
    hubKeysFile: state.hubKeysFile,
    keypair,
    trustedCertificate: authority.certificate,
    peers: options.peers,
    ...(options.trace && { traceSocketPath: state.traceSocketPath }),
    modules: await workerModules(options.worker),
  });
  await replaceFile(state.configFile, config);
  const trace = options.trace ? await startTraceStream(state.traceSocketPath) : undefined;
  try {
    return await run(options, state, { port, keypair, authority, trace });
  } catch (error) {
    await trace?.close();
    throw error;
  }
}

/** The text of hub.jsonc in development. */
function settingsOf({ domain, consent, unknownUsers, settings }: ProviderOptions): string {
  return JSON.stringify({
    domain,
    consent: consent ?? "allow",
    unknownUsers: unknownUsers ?? "hidden",
    registration: "open",
    ...settings,
  });
}

async function run(
  options: ProviderOptions,
  state: StateFolder,
  parts: {
    port: number;
    keypair: CertifiedKey;
    authority: CertifiedKey;
    trace: TraceStream | undefined;
  },
): Promise<Provider> {
  const { port, keypair, authority, trace } = parts;
  const workerd = await runWorkerd(options, state, trace);
  try {
    const terminator = await startTerminator({
      host: LOOPBACK,
      port: port + 1,
      keypair,
      trustedCertificate: authority.certificate,
      socketPath: state.socketPath,
    });
    return provider(options.domain, port, { state, workerd, terminator, trace });
  } catch (error) {
    await workerd.kill();
    throw error;
  }
}

function runWorkerd(
  options: ProviderOptions,
  state: StateFolder,
  trace: TraceStream | undefined,
): Promise<WorkerdProcess> {
  return startWorkerd(
    {
      configFile: state.configFile,
      listeners: Object.values(LISTENERS),
      onTrace: (line) => {
        trace?.publish(line);
        const exchange = withoutBodies(line);
        if (exchange !== undefined) {
          options.onTrace?.(exchange);
        }
      },
      onLog: options.onLog ?? ((line) => process.stderr.write(`${line}\n`)),
    },
    (pid) => state.note(identify(pid)),
  );
}

/** An exchange between providers as one line without its bodies; undefined for one with a device. */
function withoutBodies(line: string): string | undefined {
  const { request: _request, response: _response, via, ...rest } = JSON.parse(line) as {
    readonly request?: string;
    readonly response?: string;
    readonly via: string;
  };
  return via === "provider" ? JSON.stringify(rest) : undefined;
}

function provider(
  domain: string,
  port: number,
  parts: {
    state: StateFolder;
    workerd: WorkerdProcess;
    terminator: Terminator;
    trace: TraceStream | undefined;
  },
): Provider {
  const { state, workerd, terminator, trace } = parts;
  return {
    domain,
    clientUrl: `http://${LOOPBACK}:${port}/client/v1`,
    mimiUrl: `https://${LOOPBACK}:${terminator.port}`,
    adminSocketPath: state.adminSocketPath,
    pid: workerd.pid,
    ended: workerd.ended,
    stop: async () => {
      await trace?.close();
      await Promise.all([terminator.close(GRACE_MILLIS), workerd.stop(GRACE_MILLIS)]);
      await state.release();
    },
    kill9: async () => {
      await trace?.close();
      await Promise.all([terminator.close(0), workerd.kill()]);
      await state.release();
    },
  };
}
