/**
 * A provider as it runs on a machine: one workerd process and its TLS terminator over a state folder.
 */

import type { Address } from "./arguments.js";
import { replaceFile } from "./files.js";
import { identify } from "./processes.js";
import type { StateFolder } from "./state-folder.js";
import { startTerminator, type Terminator } from "./terminator.js";
import { startTraceStream, type TraceStream } from "./trace-stream.js";
import { LISTENERS, workerdConfig, workerModules, type WorkerdConfig } from "./workerd-config.js";
import { startWorkerd, type WorkerdProcess } from "./workerd-process.js";

/** What a provider runs with. */
export interface Setup
  extends Pick<WorkerdConfig, "settings" | "hubKeysFile" | "peerKeysFile" | "keypair" | "trustedCertificate" | "peers" | "isDevelopment" | "clientKeypair" | "reachesPublic"> {
  readonly domain: string;
  /** Where clients connect. */
  readonly clients: Address;
  /** Where other providers connect. */
  readonly providers: Address;
  /** The main module of the hub's Worker, with its wasm beside it. */
  readonly worker: string;
  /** Has the Worker trace what it exchanges. */
  readonly trace: boolean;
  /** Gets a line for each exchange with another provider: one JSON object, without the bodies. */
  readonly onTrace?: ((line: string) => void) | undefined;
  /** Gets what else workerd and the Worker write. */
  readonly onLog: (line: string) => void;
  /** How long requests in flight have when it stops, in ms. */
  readonly graceMillis: number;
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

/** Starts a provider over a state folder that is taken; it takes requests when the promise resolves. */
export async function runProvider(setup: Setup, state: StateFolder): Promise<Provider> {
  const { clients, trace: isTraced, worker, ...config } = setup;
  const text = workerdConfig({
    ...config,
    clientAddress: textOf(clients),
    socketPath: state.socketPath,
    adminSocketPath: state.adminSocketPath,
    objectsFolder: state.objectsFolder,
    traceSocketPath: isTraced ? state.traceSocketPath : undefined,
    modules: await workerModules(worker),
  });
  await replaceFile(state.configFile, text);
  const trace = isTraced ? await startTraceStream(state.traceSocketPath) : undefined;
  try {
    return await run(setup, state, trace);
  } catch (error) {
    await trace?.close();
    throw error;
  }
}

async function run(setup: Setup, state: StateFolder, trace: TraceStream | undefined): Promise<Provider> {
  const workerd = await runWorkerd(setup, state, trace);
  try {
    const { keypair, trustedCertificate, providers } = setup;
    const { socketPath } = state;
    const terminator = await startTerminator({ ...providers, keypair, trustedCertificate, socketPath });
    return provider(setup, { state, workerd, terminator, trace });
  } catch (error) {
    await workerd.kill();
    throw error;
  }
}

function runWorkerd(setup: Setup, state: StateFolder, trace: TraceStream | undefined): Promise<WorkerdProcess> {
  return startWorkerd(
    {
      configFile: state.configFile,
      listeners: Object.values(LISTENERS),
      onTrace: (line) => {
        trace?.publish(line);
        const exchange = withoutBodies(line);
        if (exchange !== undefined) {
          setup.onTrace?.(exchange);
        }
      },
      onLog: setup.onLog,
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
  { domain, clients, clientKeypair, providers, graceMillis }: Setup,
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
    clientUrl: `${clientKeypair === undefined ? "http" : "https"}://${textOf(clients)}/client/v1`,
    mimiUrl: `https://${textOf({ ...providers, port: terminator.port })}`,
    adminSocketPath: state.adminSocketPath,
    pid: workerd.pid,
    ended: workerd.ended,
    stop: async () => {
      await trace?.close();
      await Promise.all([terminator.close(graceMillis), workerd.stop(graceMillis)]);
      await state.release();
    },
    kill9: async () => {
      await trace?.close();
      await Promise.all([terminator.close(0), workerd.kill()]);
      await state.release();
    },
  };
}

function textOf({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
