/**
 * `mimi-hub dev`: providers on this machine, on loopback, for development.
 */

import { join } from "node:path";

import {
  readChoice,
  readPeers,
  requireDomain,
  textOf,
  textsOf,
  usage,
  type Command,
  type Values,
} from "../arguments.js";
import { startProvider, type Provider, type ProviderOptions } from "../provider-process.js";
import { print, signalled, WORKER } from "../running.js";

const DEFAULT_PORT = 8801;
const HIGHEST_PORT = 65_535;
const DEFAULT_FOLDER = ".mimi";

export const DEV: Command = {
  name: "dev",
  help: `dev                        run a provider on this machine, on loopback, until Ctrl-C
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
                             whether others are told that a user does not exist (default hidden)`,
  options: {
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
  },
  run: (values) => dev(readProviders(values)),
};

/** Runs the providers until a signal; the exit status is 1 if one of them ended by itself. */
async function dev(wanted: readonly Omit<ProviderOptions, "worker">[]): Promise<number> {
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

function readProviders(values: Values): Omit<ProviderOptions, "worker">[] {
  const domains = readDomains(values);
  const first = readPort(textOf(values, "port"), domains.length);
  const state = textOf(values, "state");
  const isAlone = textOf(values, "providers") === undefined;
  const ports = domains.map((_, index) => first + 2 * index);
  return domains.map((domain, index) => {
    const others = domains.flatMap((other, at) =>
      other === domain ? [] : [{ domain: other, address: `127.0.0.1:${(ports[at] ?? 0) + 1}` }],
    );
    return {
      domain,
      port: ports[index] ?? first,
      peers: readPeers(domain, textsOf(values, "peer"), others),
      caDir: textOf(values, "ca") ?? join(DEFAULT_FOLDER, "ca"),
      stateDir: isAlone && state !== undefined ? state : join(state ?? DEFAULT_FOLDER, domain),
      fresh: values["fresh"] === true,
      trace: values["trace"] === true,
      consent: readChoice("consent", textOf(values, "consent"), ["allow", "ask"]),
      unknownUsers: readChoice("unknown-users", textOf(values, "unknown-users"), ["hidden", "told"]),
    };
  });
}

function readDomains(values: Values): string[] {
  const [domain, providers] = [textOf(values, "domain"), textOf(values, "providers")];
  if (domain !== undefined && providers !== undefined) {
    throw usage("--domain and --providers exclude each other");
  }
  const given = domain ?? providers;
  if (given === undefined) {
    throw usage("--domain is missing");
  }
  const domains = domain === undefined ? given.split(",") : [given];
  domains.forEach((each) => requireDomain(each));
  if (new Set(domains).size < domains.length) {
    throw usage("--providers names a domain twice");
  }
  return domains;
}

function readPort(given: string | undefined, providers: number): number {
  const highest = HIGHEST_PORT + 1 - 2 * providers;
  const port = given === undefined ? DEFAULT_PORT : /^\d{1,5}$/.test(given) ? Number(given) : 0;
  if (port < 1 || port > highest) {
    throw usage(`--port takes a number from 1 to ${highest}, not "${given}"`);
  }
  return port;
}
