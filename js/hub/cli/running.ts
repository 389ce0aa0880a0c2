/**
 * What the commands that run a provider share.
 */

import { fileURLToPath } from "node:url";

/** The hub's Worker, beside this program in the package. */
export const WORKER = fileURLToPath(new URL("./worker.js", import.meta.url));
const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Resolves at the first signal to stop; the second one ends the process at once. */
export function signalled(): Promise<undefined> {
  return new Promise((resolve) => {
    for (const name of STOP_SIGNALS) {
      process.once(name, () => {
        resolve(undefined);
        process.once(name, () => process.exit(1));
      });
    }
  });
}

/** One line on standard output. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
