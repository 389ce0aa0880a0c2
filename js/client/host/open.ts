import { ClientCore } from "#wasm/client";
import { fromCore } from "../errors.js";
import type { KeyPackageOptions } from "../key-packages.js";
import { Host, type HostParts } from "./host.js";
import { Transport } from "./transport.js";
import { instance } from "./wasm.js";

/** What a host is opened with. */
export interface HostOptions extends Pick<HostParts, "thread" | "webSocket"> {
  readonly user: string;
  readonly provider: string;
  readonly pseudonym: Uint8Array | undefined;
  readonly keyPackages: KeyPackageOptions | undefined;
  readonly openStore: () => Promise<HostParts["store"]>;
  readonly fetch?: typeof fetch | undefined;
  /** Of the provider's accounts. */
  readonly token: string | undefined;
}

/** Opens the device that a store holds, or makes a new one, and starts its work. The wasm is there already. */
export async function openHost({ user, provider, pseudonym, keyPackages, openStore, fetch, token, webSocket, thread }: HostOptions): Promise<Host> {
  const transport = new Transport(provider, fetch, token);
  const store = await openStore();
  try {
    const openCore = async (): Promise<ClientCore> => {
      const rows = await store.rows();
      return instance.call(() => new ClientCore(user, rows, pseudonym, Date.now(), keyPackages?.target, keyPackages?.lifetimeDays));
    };
    return await Host.open({ openCore, instance, store, transport, webSocket, thread });
  } catch (error) {
    await store.close();
    throw fromCore(error);
  }
}
