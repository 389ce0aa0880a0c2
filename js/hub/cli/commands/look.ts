/**
 * What an operator looks at: `status`, `rooms`, `reports`, `metrics`.
 */

import { pipeline } from "node:stream/promises";

import type { Command } from "../arguments.js";
import { OPERATOR_HELP, OPERATOR_OPTIONS, operated } from "../operator.js";
import { SHOW_OPTIONS, listed, pairs, show, timeOf } from "../shown.js";

export const STATUS: Command = {
  name: "status",
  help: `status                     how many rooms and users a running provider has, its version and its storage's
${OPERATOR_HELP}
    --json                   as JSON; so can rooms, users, peers and reports`,
  options: SHOW_OPTIONS,
  run: (values) => show(values, "status", pairs),
};

export const ROOMS: Command = {
  name: "rooms",
  help: "rooms [ROOM]               the rooms that it hosts, since when; or what one of them is like",
  options: SHOW_OPTIONS,
  operands: ["[ROOM]"],
  run: (values, [room]) => (room === undefined ? show(values, "rooms", listed) : show(values, `rooms/${encodeURIComponent(room)}`, pairs)),
};

export const REPORTS: Command = {
  name: "reports",
  help: "reports                    what it has to report of other providers: given up, refused, back",
  options: SHOW_OPTIONS,
  run: (values) =>
    show(values, "reports", (reports: readonly { readonly at: number; readonly peer: string; readonly what: string }[]) =>
      reports.map(({ at, peer, what }) => `${timeOf(at)}  ${peer}  ${what}`),
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
