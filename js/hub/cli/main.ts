/**
 * `mimi-hub`, the command line of the hub.
 */

import { version } from "../../../npm/hub/package.json";
import { readArguments, type Command } from "./arguments.js";
import { CHECK } from "./commands/check.js";
import { CONFIG } from "./commands/config.js";
import { DEV } from "./commands/dev.js";
import { INIT } from "./commands/init.js";
import { EXPORT, IMPORT, VERIFY } from "./commands/keep.js";
import { KEYGEN } from "./commands/keygen.js";
import { METRICS_COMMAND, REPORTS, ROOMS, STATUS } from "./commands/look.js";
import { PEERS } from "./commands/peers.js";
import { SERVE } from "./commands/serve.js";
import { TAIL } from "./commands/tail.js";
import { USERS } from "./commands/users.js";
import { CliError } from "./errors.js";

const COMMANDS: readonly Command[] = [
  INIT,
  DEV,
  SERVE,
  KEYGEN,
  CONFIG,
  CHECK,
  STATUS,
  ROOMS,
  USERS,
  PEERS,
  REPORTS,
  METRICS_COMMAND,
  TAIL,
  EXPORT,
  VERIFY,
  IMPORT,
];

// Whoever reads our output may have read enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

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
  const request = readArguments(args, COMMANDS);
  if (request === "help") {
    process.stdout.write(help());
    return 0;
  }
  if (request === "version") {
    process.stdout.write(`mimi-hub ${version}\n`);
    return 0;
  }
  return request.command.run(request.values, request.operands);
}

function help(): string {
  return `mimi-hub - a MIMI provider and hub for one domain

Usage: mimi-hub <command> [options]

${COMMANDS.map((command) => `  ${command.help}`).join("\n\n")}

  -h, --help                 this text
  -V, --version              the version
`;
}
