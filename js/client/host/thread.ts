// What passes between a page and the worker that its host runs in.

import type { PlainError } from "../errors.js";
import type { KeyPackageOptions } from "../key-packages.js";
import type { StoreKey } from "../store/keys.js";
import { PORT_VERSION, type FromFace, type FromHost } from "./port.js";

/** Names this package's messages to and from a worker, which may have others too. */
const TAG = "@mimi-edge/client";

/** What a host in a worker is opened with. */
export interface WorkerHostOptions {
  readonly user: string;
  readonly provider: string;
  readonly pseudonym: Uint8Array | undefined;
  readonly keyPackages: KeyPackageOptions | undefined;
  readonly token: string | undefined;
  /** `"memory"`, or a name and perhaps a key for IndexedDB. */
  readonly store: "memory" | { readonly name: string; readonly key: StoreKey | undefined };
}

/**
 * The first message of a worker: its script runs. It holds the lock `life` from before that on while it
 * lives, where there are locks: nothing else says that a worker is no more.
 */
export interface Ready { readonly tag: typeof TAG; readonly version: typeof PORT_VERSION; readonly life: string | undefined }

/** The first message to a worker; everything after it goes through `port`. */
export interface Begin { readonly tag: typeof TAG; readonly module: WebAssembly.Module; readonly options: WorkerHostOptions; readonly port: MessagePort }

/** From the page to the worker's port. */
export type ToWorker = FromFace | { readonly type: "close" };
/** From the worker's port to the page. */
export type FromWorker = FromHost | { readonly type: "opened" | "closed" } | { readonly type: "failed"; readonly error: PlainError };

/** The first message of a worker. */
export function ready(life: string | undefined): Ready { return { tag: TAG, version: PORT_VERSION, life }; }

/** Whether it is the first message of a worker, with a script of this version. */
export function isReady(message: unknown): message is Ready {
  const { tag, version } = (message ?? {}) as Partial<Ready>;
  return tag === TAG && version === PORT_VERSION;
}

/** The first message to a worker. */
export function begin(parts: Omit<Begin, "tag">): Begin { return { tag: TAG, ...parts }; }

/** Whether it is the first message to a worker. */
export function isBegin(message: unknown): message is Begin {
  return typeof message === "object" && message !== null && "tag" in message && message.tag === TAG && "module" in message;
}
