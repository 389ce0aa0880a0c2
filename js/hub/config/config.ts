/**
 * The operator's configuration: hub.jsonc and environment variables in, all settings out. The command
 * line and the Worker read it with the same words for what is wrong.
 */

import { parse, printParseErrorCode, type ParseError } from "jsonc-parser";

import { readKeySet } from "../signature.js";
import { SETTINGS, faultOf, isDomain, isVariable, variableOf, type Setting, type Value } from "./settings.js";

/** All settings, with the defaults of those that were not given; sections are objects. */
export interface HubConfig {
  readonly domain: string;
  readonly consent: "allow" | "ask";
  readonly unknownUsers: "hidden" | "told";
  readonly registration: "open" | "jwt" | "closed";
  readonly retention: { readonly giveUpDays: number; readonly logDays: number; readonly logEvents: number };
  /** Those that JavaScript enforces; the core has the others. */
  readonly limits: { readonly updateBytes: number; readonly notifyBytes: number; readonly bodyBytes: number; readonly socketsPerDevice: number; readonly socketsPerUser: number };
  readonly peers: { readonly allow: readonly string[]; readonly deny: readonly string[]; readonly auth: readonly string[]; readonly keys: Readonly<Record<string, unknown>>; readonly clientCertHeader: boolean };
  readonly clients: { readonly origins: readonly string[]; readonly jwt: { readonly issuer: string; readonly audience: string; readonly keysUrl: string; readonly keys: object; readonly userClaim: string } };
  readonly log: { readonly level: "error" | "warn" | "info" | "debug" };
  readonly metrics: { readonly public: boolean };
}

/** Where a setting's value is from. */
export type Origin = "default" | "hub.jsonc" | "environment";

/** The settings in force. */
export interface Configuration {
  readonly config: HubConfig;
  /** By path of the setting. */
  readonly origins: ReadonlyMap<string, Origin>;
}

/** A configuration that cannot be used: one line for each thing that is wrong. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("; "));
    this.problems = problems;
  }
}

type Section = { [name: string]: Value | Section };

/**
 * Reads the text of hub.jsonc. Of `variables`, those that start with MIMI_HUB__ override it; one that
 * is no setting's is refused. Throws a ConfigError with everything that is wrong.
 */
export function readConfig(text: string, variables: Readonly<Record<string, unknown>> = {}): Configuration {
  const problems: string[] = [];
  const given = readText(text, problems);
  for (const name of unknownVariables(variables)) problems.push(`${name} is no setting${nearest(name, SETTINGS.map(variableOf))}`);
  const config: Section = {};
  const origins = new Map<string, Origin>();
  for (const setting of SETTINGS) {
    const found = valueOf(setting, given, variables, problems);
    if (found === undefined) continue;
    const fault = faultOf(setting, found.value);
    if (fault !== undefined) problems.push(`${setting.path} ${fault}`);
    origins.set(setting.path, found.origin);
    put(config, setting.path, found.value);
  }
  if (problems.length === 0) problems.push(...contradictions(config as unknown as HubConfig));
  if (problems.length > 0) throw new ConfigError(problems);
  return { config: config as unknown as HubConfig, origins };
}

/** What each setting allows, and all of them together do not. */
function contradictions(config: HubConfig): readonly string[] {
  return [...peerFaults(config), ...jwtFaults(config)];
}

function peerFaults({ peers: { keys } }: HubConfig): readonly string[] {
  return Object.entries(keys).flatMap(([domain, set]) => {
    if (!isDomain(domain)) return [`peers.keys has "${domain}", which is no domain`];
    return readKeySet(set).size > 0 ? [] : [`peers.keys has no Ed25519 key with a kid for ${domain}`];
  });
}

function jwtFaults({ registration, clients: { jwt } }: HubConfig): readonly string[] {
  if (registration !== "jwt") return [];
  const missing = (["issuer", "audience"] as const).filter((name) => jwt[name] === "").map((name) => `clients.jwt.${name} is missing, which registration jwt needs`);
  const hasKeys = jwt.keysUrl !== "" || Object.keys(jwt.keys).length > 0;
  return hasKeys ? missing : [...missing, "clients.jwt.keysUrl or clients.jwt.keys is missing, which registration jwt needs"];
}

/** The settings that the text has, by path. */
function readText(text: string, problems: string[]): ReadonlyMap<string, Value> {
  const errors: ParseError[] = [];
  const tree = parse(text, errors, { allowTrailingComma: true }) as Value | undefined;
  const [error] = errors;
  if (error !== undefined) throw new ConfigError([`line ${String(lineOf(text, error.offset))}: ${printParseErrorCode(error.error)}`]);
  if (!isSection(tree)) throw new ConfigError(["the configuration is an object: { … }"]);
  const given = new Map<string, Value>();
  const { $schema: _, ...settings } = tree;
  collect(settings, "", given, problems);
  return given;
}

function collect(section: { readonly [name: string]: Value }, prefix: string, given: Map<string, Value>, problems: string[]): void {
  for (const [name, value] of Object.entries(section)) {
    const path = prefix + name;
    if (SETTINGS.some((setting) => setting.path === path)) given.set(path, value);
    else if (SETTINGS.some((setting) => setting.path.startsWith(`${path}.`))) {
      if (isSection(value)) collect(value, `${path}.`, given, problems);
      else problems.push(`${path} is a section: { … }, not ${JSON.stringify(value)}`);
    } else problems.push(`${path} is no setting${nearest(path, SETTINGS.map((setting) => setting.path))}`);
  }
}

function valueOf(setting: Setting, given: ReadonlyMap<string, Value>, variables: Readonly<Record<string, unknown>>, problems: string[]): { value: Value; origin: Origin } | undefined {
  const variable = variables[variableOf(setting)];
  if (typeof variable === "string") return { value: readVariable(setting, variable), origin: "environment" };
  const value = given.get(setting.path);
  if (value !== undefined) return { value, origin: "hub.jsonc" };
  if (setting.default === undefined) {
    problems.push(`${setting.path} is missing`);
    return undefined;
  }
  return { value: setting.default, origin: "default" };
}

/** A variable is a text; of other types it is JSON. */
function readVariable(setting: Setting, text: string): Value {
  if (setting.type === "text" || setting.type === "domain" || setting.type === "choice") return text;
  try {
    return JSON.parse(text) as Value;
  } catch {
    return text;
  }
}

function unknownVariables(variables: Readonly<Record<string, unknown>>): string[] {
  const known = new Set(SETTINGS.map(variableOf));
  return Object.keys(variables).filter((name) => isVariable(name) && !known.has(name));
}

function put(config: Section, path: string, value: Value): void {
  const parts = path.split(".");
  const name = parts.pop()!;
  let section = config;
  for (const part of parts) section = (section[part] ??= {}) as Section;
  section[name] = value;
}

function isSection(value: Value | undefined): value is { readonly [name: string]: Value } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

/** `: did you mean …?` when one of `names` is much like `name`. */
function nearest(name: string, names: readonly string[]): string {
  const [best] = names.map((other) => ({ other, distance: distance(name.toLowerCase(), other.toLowerCase()) })).sort((a, b) => a.distance - b.distance);
  return best !== undefined && best.distance <= Math.max(2, name.length / 3) ? `: did you mean ${best.other}?` : "";
}

/** How many letters have to be put in, taken out or changed (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) next.push(Math.min(next[j]! + 1, row[j + 1]! + 1, row[j]! + (letter === other ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
