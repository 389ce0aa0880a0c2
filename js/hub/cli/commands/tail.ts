/**
 * `mimi-hub tail`: of a log, the lines that matter.
 */

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

import { textOf, usage, type Command } from "../arguments.js";
import { CliError } from "../errors.js";
import { print } from "../running.js";

const LEVELS = ["error", "warn", "info", "debug"] as const;

/** A line of the log, as js/hub/log.ts writes it. */
type Line = Readonly<Record<string, unknown>> & { readonly at: string; readonly level: string };

export const TAIL: Command = {
  name: "tail",
  help: `tail [FILE] [FILE]         the log's lines that matter, of files or of standard input as they come; of two
                             providers' files in the order of their time
    --level warn             those of this level and of graver ones: error, warn, info, debug
    --code CODE              those with the draft's code: notAllowed
    --request ID             those of the request with this id, at whatever provider
    --json                   as they are`,
  options: { level: { type: "string" }, code: { type: "string" }, request: { type: "string" }, json: { type: "boolean" } },
  operands: ["[FILE]", "[FILE]"],
  async run(values, files) {
    const [level = "debug", code, request] = [textOf(values, "level"), textOf(values, "code"), textOf(values, "request")];
    const gravest = LEVELS.findIndex((name) => name === level);
    if (gravest < 0) throw usage(`--level takes ${LEVELS.join(", ")}, not "${level}"`);
    const matters = (line: Line): boolean =>
      LEVELS.findIndex((name) => name === line.level) <= gravest && (code === undefined || line["code"] === code) && (request === undefined || line["id"] === request);
    const show = (line: Line): void => {
      if (matters(line)) print(values["json"] === true ? JSON.stringify(line) : readable(line));
    };
    if (files.length === 0) {
      for await (const line of linesOf(process.stdin)) show(line);
      return 0;
    }
    const all: Line[] = [];
    for (const file of files) {
      const stream = createReadStream(file);
      const opened = new Promise<void>((resolve, reject) => stream.once("open", () => { resolve(); }).once("error", reject));
      await opened.catch(() => { throw new CliError(`there is no ${file}`); });
      for await (const line of linesOf(stream)) all.push(line);
    }
    all.sort((one, other) => (one.at < other.at ? -1 : one.at > other.at ? 1 : 0)).forEach(show);
    return 0;
  },
};

/** The lines of a log; what somebody else wrote in between is passed over. */
async function* linesOf(stream: Readable): AsyncGenerator<Line> {
  for await (const text of createInterface({ input: stream, crlfDelay: Infinity })) {
    const line = parsed(text);
    if (line !== undefined) yield line;
  }
}

function parsed(text: string): Line | undefined {
  // A supervisor may put its own words in front.
  const start = text.indexOf("{");
  if (start < 0) return undefined;
  try {
    const line = JSON.parse(text.slice(start)) as Readonly<Record<string, unknown>>;
    return typeof line["at"] === "string" && typeof line["level"] === "string" ? (line as Line) : undefined;
  } catch {
    return undefined;
  }
}

function readable({ at, level, event, ...fields }: Line): string {
  const words = Object.entries(fields).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return `${at} ${level.padEnd(5)} ${String(event)} ${words.join(" ")}`.trimEnd();
}
