/**
 * What an operator looks at: `status`, `rooms`, `users`, `reports`, `metrics`.
 */

import { pipeline } from "node:stream/promises";

import { usage, type Command, type Values } from "../arguments.js";
import { OPERATOR_HELP, OPERATOR_OPTIONS, operated } from "../operator.js";
import { print } from "../running.js";

const OPTIONS = { ...OPERATOR_OPTIONS, json: { type: "boolean" } } as const;

/** Prints what was asked for: as JSON, or as lines. */
async function show(values: Values, path: string, lines: (json: never) => readonly string[]): Promise<number> {
  const json = await (await operated(values)).json("GET", path);
  if (values["json"] === true) print(JSON.stringify(json));
  else lines(json as never).forEach(print);
  return 0;
}

interface Listed { readonly name: string; readonly since: number }

function listed(objects: readonly Listed[]): readonly string[] {
  return objects.map(({ name, since }) => `${new Date(since).toISOString()}  ${name}`);
}

function pairs(json: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(json).map(([name, value]) => `${name.padEnd(18)} ${Array.isArray(value) ? value.join(", ") : String(value)}`);
}

export const STATUS: Command = {
  name: "status",
  help: `status                     how many rooms and users a running provider has
${OPERATOR_HELP}
    --json                   as JSON; so can rooms, users and reports`,
  options: OPTIONS,
  run: (values) => show(values, "status", pairs),
};

export const ROOMS: Command = {
  name: "rooms",
  help: "rooms [ROOM]               the rooms that it hosts, since when; or what one of them is like",
  options: OPTIONS,
  operands: ["[ROOM]"],
  run: (values, [room]) => (room === undefined ? show(values, "rooms", listed) : show(values, `rooms/${encodeURIComponent(room)}`, pairs)),
};

export const USERS: Command = {
  name: "users",
  help: `users                      its users, since when
  users delete USER          delete one for good, with all devices; rooms are told`,
  options: { ...OPTIONS, yes: { type: "boolean" } },
  operands: ["[delete]", "[USER]"],
  async run(values, [act, user]) {
    if (act === undefined) return await show(values, "users", listed);
    if (act !== "delete" || user === undefined) throw usage(`users takes delete USER, not "${act}"`);
    if (values["yes"] !== true) throw usage(`${user} would be gone for good: say it with --yes`);
    await (await operated(values)).json("DELETE", `users/${encodeURIComponent(user)}`);
    print(`${user}: deleted`);
    return 0;
  },
};

export const REPORTS: Command = {
  name: "reports",
  help: "reports                    what it has to report of other providers: given up, refused, back",
  options: OPTIONS,
  run: (values) =>
    show(values, "reports", (reports: readonly { readonly at: number; readonly peer: string; readonly what: string }[]) =>
      reports.map(({ at, peer, what }) => `${new Date(at).toISOString()}  ${peer}  ${what}`),
    ),
};

export const METRICS_COMMAND: Command = {
  name: "metrics",
  help: "metrics                    its counters, as Prometheus reads them",
  options: OPERATOR_OPTIONS,
  async run(values) {
    await pipeline(await (await operated(values)).ask("GET", "metrics"), process.stdout, { end: false });
    return 0;
  },
};
