/**
 * The command line, read into what is to be done. Every mistake is a CliError of one line.
 */

import { join } from "node:path";
import { parseArgs, type ParseArgsConfig } from "node:util";

import { isDomain } from "../config/settings.js";
import { CliError, systemCode } from "./errors.js";
import type { ConsentDefault, Peer, UnknownUsers } from "./workerd-config.js";

/** What the command line asks for. */
export type Command =
  | { readonly name: "help" }
  | { readonly name: "version" }
  | { readonly name: "dev"; readonly providers: readonly ProviderArguments[] };

/** One provider that `dev` is to start. */
export interface ProviderArguments {
  readonly domain: string;
  readonly port: number;
  readonly peers: readonly Peer[];
  readonly caDir: string;
  readonly stateDir: string;
  readonly fresh: boolean;
  readonly trace: boolean;
  readonly consent: ConsentDefault;
  readonly unknownUsers: UnknownUsers;
}

export const HELP = `mimi-hub - a MIMI provider and hub for one domain

Usage: mimi-hub <command> [options]

  dev                        run a provider on this machine, on loopback, until Ctrl-C
    --domain D               its domain, for instance alpha.example
    --port N                 clients connect to port N, other providers to N+1 (default 8801)
    --peer D2=HOST:PORT      another provider and where it listens for providers; may be repeated
    --providers D,D2,...     instead of --domain: several providers, each knowing the others, on
                             ports N, N+2, ...
    --ca DIR                 the development CA, shared by providers that are to trust each other,
                             made if there is none (default .mimi/ca)
    --state DIR              where the state is kept (default .mimi/D; with --providers DIR/D)
    --fresh                  forget the state first
    --trace                  one line of JSON per exchange between providers, on standard output;
                             GET /dev/trace on the clients' port streams them with their bodies,
                             and what devices exchange with the provider
    --consent allow|ask      when a user's consent is not recorded (default allow)
    --unknown-users hidden|told
                             whether others are told that a user does not exist (default hidden)

  -h, --help                 this text
  -V, --version              the version
`;

const OPTIONS = {
  domain: { type: "string" },
  providers: { type: "string" },
  port: { type: "string" },
  peer: { type: "string", multiple: true },
  ca: { type: "string" },
  state: { type: "string" },
  fresh: { type: "boolean" },
  trace: { type: "boolean" },
  consent: { type: "string" },
  "unknown-users": { type: "string" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "V" },
} as const satisfies ParseArgsConfig["options"];

type Values = ReturnType<typeof parse>["values"];

const DEFAULT_PORT = 8801;
const HIGHEST_PORT = 65_535;
const DEFAULT_FOLDER = ".mimi";

/** Reads the arguments behind the program's name. */
export function readArguments(args: readonly string[]): Command {
  const { values, positionals } = parse(args);
  if (values.help) {
    return { name: "help" };
  }
  if (values.version) {
    return { name: "version" };
  }
  const [command, ...rest] = positionals;
  if (command === undefined) {
    throw usage("a command is missing; there is: dev");
  }
  if (command !== "dev") {
    throw usage(`there is no command "${command}"; there is: dev`);
  }
  if (rest.length > 0) {
    throw usage(`dev takes options only, not "${rest.join(" ")}"`);
  }
  return { name: "dev", providers: readProviders(values) };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, strict: true });
  } catch (error) {
    if (systemCode(error)?.startsWith("ERR_PARSE_ARGS_") && error instanceof Error) {
      const [sentence = error.message] = error.message.split(/\. |\n/);
      throw usage(sentence);
    }
    throw error;
  }
}

function readProviders(values: Values): ProviderArguments[] {
  const domains = readDomains(values);
  const first = readPort(values.port, domains.length);
  const listed = (values.peer ?? []).map(readPeer);
  const folder = values.state ?? DEFAULT_FOLDER;
  const ownFolder = values.providers === undefined ? values.state : undefined;
  const ports = domains.map((_, index) => first + 2 * index);
  return domains.map((domain, index) => {
    const others = domains.flatMap((other, at) =>
      other === domain ? [] : [{ domain: other, address: `127.0.0.1:${(ports[at] ?? 0) + 1}` }],
    );
    return {
      domain,
      port: ports[index] ?? first,
      peers: distinctPeers(domain, [...others, ...listed]),
      caDir: values.ca ?? join(DEFAULT_FOLDER, "ca"),
      stateDir: ownFolder ?? join(folder, domain),
      fresh: values.fresh ?? false,
      trace: values.trace ?? false,
      consent: readConsent(values.consent),
      unknownUsers: readUnknownUsers(values["unknown-users"]),
    };
  });
}

function readDomains(values: Values): string[] {
  if (values.domain !== undefined && values.providers !== undefined) {
    throw usage("--domain and --providers exclude each other");
  }
  const given = values.domain ?? values.providers;
  if (given === undefined) {
    throw usage("--domain is missing");
  }
  const domains = values.domain === undefined ? given.split(",") : [given];
  domains.forEach((domain) => requireDomain(domain));
  if (new Set(domains).size < domains.length) {
    throw usage("--providers names a domain twice");
  }
  return domains;
}

function requireDomain(domain: string): void {
  if (!isDomain(domain)) {
    throw usage(`"${domain}" is not a domain in lower case, such as alpha.example`);
  }
}

function readPort(given: string | undefined, providers: number): number {
  const highest = HIGHEST_PORT + 1 - 2 * providers;
  const port = given === undefined ? DEFAULT_PORT : /^\d{1,5}$/.test(given) ? Number(given) : 0;
  if (port < 1 || port > highest) {
    throw usage(`--port takes a number from 1 to ${highest}, not "${given}"`);
  }
  return port;
}

function readPeer(given: string): Peer {
  const [, domain, address, port] = /^([^=]*)=([^=]+:(\d{1,5}))$/.exec(given) ?? [];
  if (domain === undefined || address === undefined || !(Number(port) <= HIGHEST_PORT)) {
    throw usage(`--peer takes DOMAIN=HOST:PORT, not "${given}"`);
  }
  requireDomain(domain);
  return { domain, address };
}

function distinctPeers(domain: string, peers: readonly Peer[]): readonly Peer[] {
  const names = peers.map((peer) => peer.domain);
  if (names.includes(domain)) {
    throw usage(`${domain} cannot be its own peer`);
  }
  if (new Set(names).size < names.length) {
    throw usage("a peer is given twice");
  }
  return peers;
}

function readConsent(given = "allow"): ConsentDefault {
  if (given !== "allow" && given !== "ask") {
    throw usage(`--consent takes allow or ask, not "${given}"`);
  }
  return given;
}

function readUnknownUsers(given = "hidden"): UnknownUsers {
  if (given !== "hidden" && given !== "told") {
    throw usage(`--unknown-users takes hidden or told, not "${given}"`);
  }
  return given;
}

function usage(message: string): CliError {
  return new CliError(message, 2);
}
