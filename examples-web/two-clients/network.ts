// The two providers of the page. Each is the hub's Worker as it runs on an edge runtime, here on what
// stands in for one (edge/): no server, no network, nothing that outlives the page.

/** A provider as its users' devices reach it. */
export interface Provider {
  readonly domain: string;
  readonly fetch: typeof fetch;
  readonly WebSocket: typeof WebSocket;
  /** Lets it reach another provider. */
  meet(peer: Provider): void;
}

/** The module of edge/provider.ts. A Worker is one provider, so each provider is an instance of its own. */
interface ProviderModule { startProvider(domain: string, onTrace: (line: string) => void): Promise<Provider> }

/** Starts providers that know each other; `onTrace` gets the lines of their traces. */
export async function startProviders(domains: readonly string[], onTrace: (line: string) => void): Promise<readonly Provider[]> {
  const providers = await Promise.all(domains.map(async (domain) => {
    // Another URL is another instance of a module.
    const { startProvider } = (await import(`${new URL("./hub.js", import.meta.url).href}?${domain}`)) as ProviderModule;
    return await startProvider(domain, onTrace);
  }));
  for (const one of providers) for (const other of providers) if (one !== other) one.meet(other);
  return providers;
}
