/**
 * `mimi-hub`, the command line of the hub.
 */

import { fileURLToPath } from "node:url";

import { version } from "../../../npm/hub/package.json";
import { HELP, readArguments, type ProviderArguments } from "./arguments.js";
import { CliError } from "./errors.js";
import { startProvider, type Provider } from "./provider-process.js";

/** Beside this program in the package. */
const WORKER = fileURLToPath(new URL("./worker.js", import.meta.url));
const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof CliError)) {
    throw error;
  }
  process.stderr.write(`mimi-hub: ${error.message}\n`);
  process.exitCode = error.exitCode;
}

async function run(args: readonly string[]): Promise<number> {
  const command = readArguments(args);
  switch (command.name) {
    case "help":
      process.stdout.write(HELP);
      return 0;
    case "version":
      process.stdout.write(`mimi-hub ${version}\n`);
      return 0;
    case "dev":
      return dev(command.providers);
  }
}

/** Runs the providers until a signal; the exit status is 1 if one of them ended by itself. */
async function dev(wanted: readonly ProviderArguments[]): Promise<number> {
  const providers: Provider[] = [];
  const stopped = signalled();
  try {
    for (const each of wanted) {
      providers.push(await startProvider({ ...each, worker: WORKER, onTrace: print }));
    }
    for (const { domain, clientUrl, mimiUrl } of providers) {
      print(`${domain}: clients ${clientUrl}, providers ${mimiUrl} (mutual TLS)`);
    }
    print("ready");
    const failures = providers.map(async ({ domain, ended }) => `${domain}: ${await ended}`);
    const failure = await Promise.race([stopped, ...failures]);
    if (failure !== undefined) {
      process.stderr.write(`mimi-hub: ${failure}\n`);
    }
    return failure === undefined ? 0 : 1;
  } finally {
    await Promise.all(providers.map((provider) => provider.stop()));
  }
}

/** Resolves at the first signal to stop; the second one ends the process at once. */
function signalled(): Promise<undefined> {
  return new Promise((resolve) => {
    for (const name of STOP_SIGNALS) {
      process.once(name, () => {
        resolve(undefined);
        process.once(name, () => process.exit(1));
      });
    }
  });
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
