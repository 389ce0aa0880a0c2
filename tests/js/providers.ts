// Providers on workerd with mutual TLS on loopback, as separate processes that know each other.

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePortPair, startProvider, type Provider, type ProviderOptions } from "../../js/hub/cli/provider-process.js";

export type { Provider } from "../../js/hub/cli/provider-process.js";

/** Domains of the story's providers. */
export const DOMAINS = ["alpha.example", "bravo.example", "charlie.example"] as const;

/** Running providers that can be stopped and started again. */
export interface Providers {
  /** The base URL of a provider's client API, without its path. */
  url(domain: string): string;
  /** The port of a provider's clients' listener; other providers come in at the next one. */
  port(domain: string): number;
  provider(domain: string): Provider;
  /** The folder of a provider's state. */
  state(domain: string): string;
  /** The folder of the certificate authority that they trust. */
  readonly caDir: string;
  /** Kills a provider as a crash would. */
  kill9(domain: string): Promise<void>;
  /** Starts a provider again over what it had stored. */
  restart(domain: string): Promise<void>;
  stop(): Promise<void>;
}

/** Starts one provider for each domain, with an empty state, under the built Worker. */
export async function startProviders(
  worker: string,
  options: Partial<Pick<ProviderOptions, "consent" | "trace" | "onTrace" | "onLog" | "settings">> & { readonly ports?: readonly number[] } = {},
): Promise<Providers> {
  // A durable event costs milliseconds on a disk and microseconds in memory.
  const folder = await mkdtemp(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "mimi-edge-"));
  const caDir = join(folder, "ca");
  const ports = new Map<string, number>();
  for (const [index, domain] of DOMAINS.entries()) ports.set(domain, options.ports?.[index] ?? (await freePortPair()));
  const running = new Map<string, Provider>();
  const port = (domain: string): number => ports.get(domain) ?? Number.NaN;
  const start = async (domain: string): Promise<void> => {
    const peers = DOMAINS.filter((other) => other !== domain).map((other) => ({ domain: other, address: `127.0.0.1:${String(port(other) + 1)}` }));
    const { consent, trace, onTrace, onLog, settings } = options;
    running.set(domain, await startProvider({
      domain, port: port(domain), peers, caDir, stateDir: join(folder, domain), worker,
      ...(consent === undefined ? {} : { consent }), ...(trace === undefined ? {} : { trace }), ...(onTrace === undefined ? {} : { onTrace }), ...(onLog === undefined ? {} : { onLog }), ...(settings === undefined ? {} : { settings }),
    }));
  };
  const provider = (domain: string): Provider => {
    const found = running.get(domain);
    if (found === undefined) throw new Error(`no provider ${domain}`);
    return found;
  };
  for (const domain of DOMAINS) await start(domain);
  return {
    caDir,
    state: (domain) => join(folder, domain),
    url: (domain) => `http://127.0.0.1:${String(port(domain))}`,
    port,
    provider,
    kill9: (domain) => provider(domain).kill9(),
    restart: start,
    async stop() {
      await Promise.all([...running.values()].map((one) => one.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
