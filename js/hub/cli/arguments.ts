/**
 * The command line, read by what each command says of itself. Every mistake is a CliError of one line.
 */

import { parseArgs, type ParseArgsConfig } from "node:util";

import { isDomain } from "../config/settings.js";
import { CliError, systemCode } from "./errors.js";
import type { Peer } from "./workerd-config.js";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** What was given for options, by name: a text, `true`, or the texts of one that may be repeated. */
export type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/** A command of `mimi-hub`. */
export interface Command {
  readonly name: string;
  /** Its lines in the help, the first without its indent. */
  readonly help: string;
  readonly options: Options;
  /** The names of what it takes beside options, those that may be absent in brackets: `[DIR]`. */
  readonly operands?: readonly string[];
  /** Does it; resolves to the exit status. */
  run(values: Values, operands: readonly string[]): Promise<number>;
}

const COMMON = {
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "V" },
} as const satisfies Options;
const HIGHEST_PORT = 65_535;

/** What the command line asks for. */
export type Request = "help" | "version" | { readonly command: Command; readonly values: Values; readonly operands: readonly string[] };

/** Reads the arguments behind the program's name. */
export function readArguments(args: readonly string[], commands: readonly Command[]): Request {
  const names = commands.map((command) => command.name);
  const name = args.find((arg) => !arg.startsWith("-"));
  const command = commands.find((each) => each.name === name);
  const options = command?.options ?? {};
  const { values, positionals } = parse(args, { ...options, ...COMMON }, command !== undefined || name === undefined);
  if (values["help"] === true) {
    return "help";
  }
  if (values["version"] === true) {
    return "version";
  }
  if (name === undefined) {
    throw usage(`a command is missing; there is: ${names.join(", ")}`);
  }
  if (command === undefined) {
    throw usage(`there is no command "${name}"; there is: ${names.join(", ")}`);
  }
  const operands = positionals.slice(1);
  checkOperands(command, operands);
  return { command, values, operands };
}

function checkOperands({ name, operands: wanted = [] }: Command, operands: readonly string[]): void {
  if (wanted.length === 0 && operands.length > 0) {
    throw usage(`${name} takes options only, not "${operands.join(" ")}"`);
  }
  const least = wanted.filter((operand) => !operand.startsWith("[")).length;
  if (operands.length < least || operands.length > wanted.length) {
    throw usage(`${name} takes ${wanted.join(" ")}, not "${operands.join(" ")}"`);
  }
}

function parse(args: readonly string[], options: Options, strict: boolean): { values: Values; positionals: string[] } {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict });
  } catch (error) {
    if (systemCode(error)?.startsWith("ERR_PARSE_ARGS_") && error instanceof Error) {
      const [sentence = error.message] = error.message.split(/\. |\n/);
      throw usage(sentence);
    }
    throw error;
  }
}

/** The text of an option, if it was given. */
export function textOf(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" ? value : undefined;
}

/** The text of an option that has to be there. */
export function mustHave(values: Values, name: string): string {
  const value = textOf(values, name);
  if (value === undefined) {
    throw usage(`--${name} is missing`);
  }
  return value;
}

/** The texts of an option that may be repeated. */
export function textsOf(values: Values, name: string): readonly string[] {
  const value = values[name];
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

/** Where something listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Reads HOST:PORT, where a host may be in brackets. */
export function readAddress(option: string, given: string): Address {
  const [, host = "", port = ""] = /^(\[[0-9a-f:]+\]|[^:[\]]+):(\d{1,5})$/i.exec(given) ?? [];
  if (host === "" || !(Number(port) <= HIGHEST_PORT)) {
    throw usage(`--${option} takes HOST:PORT, not "${given}"`);
  }
  return { host: host.replace(/^\[|\]$/g, ""), port: Number(port) };
}

/** Reads DOMAIN=HOST:PORT of each peer; no peer is `domain` itself, or there twice. */
export function readPeers(domain: string, given: readonly string[], others: readonly Peer[] = []): readonly Peer[] {
  const peers = [...others, ...given.map(readPeer)];
  const names = peers.map((peer) => peer.domain);
  if (names.includes(domain)) {
    throw usage(`${domain} cannot be its own peer`);
  }
  if (new Set(names).size < names.length) {
    throw usage("a peer is given twice");
  }
  return peers;
}

function readPeer(given: string): Peer {
  const [, domain, address, port] = /^([^=]*)=([^=]+:(\d{1,5}))$/.exec(given) ?? [];
  if (domain === undefined || address === undefined || !(Number(port) <= HIGHEST_PORT)) {
    throw usage(`--peer takes DOMAIN=HOST:PORT, not "${given}"`);
  }
  return { domain: requireDomain(domain), address };
}

/** The text, if it is a domain. */
export function requireDomain(domain: string): string {
  if (!isDomain(domain)) {
    throw usage(`"${domain}" is not a domain in lower case, such as alpha.example`);
  }
  return domain;
}

/** One of a few words. */
export function readChoice<const T extends readonly [string, ...string[]]>(
  option: string,
  given: string | undefined,
  choices: T,
): T[number] {
  const found = (choices as readonly T[number][]).find((choice) => choice === (given ?? choices[0]));
  if (found === undefined) {
    throw usage(`--${option} takes ${choices.join(" or ")}, not "${given ?? ""}"`);
  }
  return found;
}

/** The command line is wrong. */
export function usage(message: string): CliError {
  return new CliError(message, 2);
}
