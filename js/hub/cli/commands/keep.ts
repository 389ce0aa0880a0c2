/**
 * Backups: `export`, `verify`, `import`.
 *
 * A file has one JSON value per line: a head, then rows of one object per line, then how many there were,
 * and last the SHA-256 of all lines before it.
 */

import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { finished } from "node:stream/promises";

import type { Command } from "../arguments.js";
import { CliError } from "../errors.js";
import { OPERATOR_HELP, OPERATOR_OPTIONS, operated } from "../operator.js";
import { print } from "../running.js";

/** Readable by its owner alone: it says who talks with whom. */
const MODE = 0o600;

interface Summary { readonly domain: string; readonly at: number; readonly objects: number; readonly rows: number }

export const EXPORT: Command = {
  name: "export",
  help: `export FILE                write all that a running provider stores into a file; its keys are not in it
${OPERATOR_HELP}`,
  options: OPERATOR_OPTIONS,
  operands: ["FILE"],
  async run(values, [file = ""]) {
    const draft = `${file}.part`;
    try {
      await write(draft, await (await operated(values)).ask("GET", "export"));
      const summary = await verified(draft);
      await rename(draft, file);
      print(`${file}: ${described(summary)}`);
      return 0;
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  },
};

export const VERIFY: Command = {
  name: "verify",
  help: "verify FILE                read such a file to its end, and say whether it is whole",
  options: {},
  operands: ["FILE"],
  async run(_values, [file = ""]) {
    print(`${file}: ${described(await verified(file))}`);
    return 0;
  },
};

export const IMPORT: Command = {
  name: "import",
  help: "import FILE                take one into a running provider of the same domain that has nothing yet",
  options: OPERATOR_OPTIONS,
  operands: ["FILE"],
  async run(values, [file = ""]) {
    const summary = await verified(file);
    const answer = await (await operated(values)).ask("POST", "import", createReadStream(file));
    answer.resume();
    await finished(answer);
    print(`${file}: ${described(summary)}, taken in`);
    return 0;
  },
};

async function write(path: string, lines: Readable): Promise<void> {
  const file = createWriteStream(path, { mode: MODE, flags: "wx" });
  const hash = createHash("sha256");
  for await (const part of lines) {
    hash.update(part as Buffer);
    if (!file.write(part)) await once(file, "drain");
  }
  file.end(`${JSON.stringify({ sha256: hash.digest("hex") })}\n`);
  await finished(file);
}

/** Reads a file to its end. Throws a CliError when it is not whole, or not what was written. */
async function verified(path: string): Promise<Summary> {
  const hash = createHash("sha256");
  const seen = { objects: new Set<string>(), rows: 0 };
  let head: { readonly domain: string; readonly at: number } | undefined;
  let end: { readonly objects: number; readonly rows: number } | undefined;
  let isWhole = false;
  for await (const text of linesOf(path)) {
    const line = parsed(path, text);
    if ("sha256" in line) {
      if (line["sha256"] !== hash.digest("hex")) throw new CliError(`${path} is damaged: its checksum is another`);
      isWhole = true;
      break;
    }
    hash.update(`${text}\n`);
    if ("mimi" in line) head = line as unknown as typeof head;
    else if ("end" in line) end = line["end"] as typeof end;
    else {
      seen.objects.add(`${String(line["class"])} ${String(line["name"])}`);
      seen.rows += (line["rows"] as unknown[]).length;
    }
  }
  if (head === undefined) throw new CliError(`${path} is no export of a provider`);
  if (!isWhole || end === undefined || end.objects !== seen.objects.size || end.rows !== seen.rows) throw new CliError(`${path} is not whole`);
  return { domain: head.domain, at: head.at, ...end };
}

async function* linesOf(path: string): AsyncGenerator<string> {
  const stream = createReadStream(path);
  const opened = new Promise<void>((resolve, reject) => stream.once("open", () => { resolve(); }).once("error", reject));
  await opened.catch(() => { throw new CliError(`there is no ${path}`); });
  yield* createInterface({ input: stream, crlfDelay: Infinity });
}

function parsed(path: string, text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw new CliError(`${path} is no export of a provider`);
  }
}

function described({ domain, at, objects, rows }: Summary): string {
  return `${domain} at ${new Date(at).toISOString()}, ${String(objects)} objects, ${String(rows)} rows`;
}
