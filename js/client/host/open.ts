import { ClientCore } from "#wasm/client";
import { fromCore } from "../errors.js";
import type { KeyPackageOptions } from "../key-packages.js";
import type { Store } from "../store.js";
import { Host, type HostParts } from "./host.js";
import { Transport } from "./transport.js";

/** What a host is opened with. */
export interface HostOptions extends Pick<HostParts, "thread" | "webSocket"> {
  readonly user: string;
  readonly provider: string;
  readonly pseudonym: Uint8Array | undefined;
  readonly keyPackages: KeyPackageOptions | undefined;
  readonly openStore: () => Promise<Store>;
  readonly fetch?: typeof fetch | undefined;
}

/** Opens the device that a store holds, or makes a new one, and starts its work. The wasm is there already. */
export async function openHost({ user, provider, pseudonym, keyPackages, openStore, fetch, webSocket, thread }: HostOptions): Promise<Host> {
  const transport = new Transport(provider, fetch);
  const store = await openStore();
  try {
    const core = new ClientCore(user, await store.rows(), pseudonym, Date.now(), keyPackages?.target, keyPackages?.lifetimeDays);
    const host = new Host({ core, store, transport, webSocket, thread });
    await host.start();
    return host;
  } catch (error) {
    await store.close();
    throw fromCore(error);
  }
}
