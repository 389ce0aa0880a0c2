import { isReady } from "./host/thread.js";
import { currentPlatform } from "./platform.js";

/** How long a worker may take to say that it is ready, in ms: a script that is not there gives no better sign. */
const READY_MILLIS = 3_000;

/** A worker whose script runs. */
export interface LiveWorker {
  readonly worker: Worker;
  /** The lock that it holds while it lives; none where there are no locks. */
  readonly life: string | undefined;
}

/** A worker, or none; `why` when that is not the one that was asked for. */
export interface Spawned { readonly live?: LiveWorker; readonly why?: string }

/**
 * A worker of the package's own file, else of a copy of it that the package has inside; with a function, of
 * the application's file or none.
 */
export async function spawn(wanted: true | (() => Worker)): Promise<Spawned> {
  if (typeof wanted === "function") return await started(wanted).then((live) => ({ live }), (error: unknown) => ({ why: `the application's worker did not start: ${reason(error)}` }));
  const { workers } = currentPlatform();
  if (workers === undefined) return { why: "there are no workers here" };
  let why: string;
  try {
    return { live: await started(workers.fromFile) };
  } catch (error) {
    why = `the package's worker file did not start: ${reason(error)}`;
  }
  try {
    const url = URL.createObjectURL(new Blob([await workers.text()], { type: "text/javascript" }));
    const live = await started(() => workers.fromUrl(url)).finally(() => { URL.revokeObjectURL(url); });
    return { live, why };
  } catch (error) {
    return { why: `${why}; nor did a copy of it: ${reason(error)}` };
  }
}

/** The worker, once its script runs. */
async function started(make: () => Worker): Promise<LiveWorker> {
  const worker = make();
  return await new Promise((resolve, reject) => {
    const stop = new AbortController();
    const fail = (why: string): void => {
      stop.abort();
      worker.terminate();
      reject(new Error(why));
    };
    const timer = setTimeout(() => { fail("it says nothing"); }, READY_MILLIS);
    stop.signal.addEventListener("abort", () => { clearTimeout(timer); });
    worker.addEventListener("error", () => { fail("its script cannot be loaded"); }, { signal: stop.signal });
    worker.addEventListener("message", ({ data }) => {
      if (!isReady(data)) return;
      stop.abort();
      resolve({ worker, life: data.life });
    }, { signal: stop.signal });
  });
}

function reason(error: unknown): string { return error instanceof Error ? error.message : "no reason was given"; }
