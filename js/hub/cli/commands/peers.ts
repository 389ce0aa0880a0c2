/**
 * Other providers: what waits for them, tried now or dropped.
 */

import type { PeerView } from "../../admin/peer-view.js";
import { usage, type Command } from "../arguments.js";
import { operated } from "../operator.js";
import { print } from "../running.js";
import { SHOW_OPTIONS, show, timeOf } from "../shown.js";

function line({ peer, since, entries, objects, failingSince, givenUp }: PeerView): string {
  const words = [`${String(entries)} wait in ${String(objects)}`];
  if (failingSince !== null) words.push(`failing since ${timeOf(failingSince)}`);
  if (givenUp > 0) words.push(`given up by ${String(givenUp)}`);
  return `${since === null ? "-".padEnd(24) : timeOf(since)}  ${peer}  ${words.join(", ")}`;
}

export const PEERS: Command = {
  name: "peers",
  help: `peers [DOMAIN]             other providers, since when; what waits for them, in how many rooms and users
  peers retry DOMAIN         try now what waits for one
  peers drop-queue DOMAIN    drop what waits for one: its devices see a gap, and join their rooms anew
    --yes                    what cannot be undone needs it`,
  options: { ...SHOW_OPTIONS, yes: { type: "boolean" } },
  operands: ["[retry|drop-queue]", "[DOMAIN]"],
  async run(values, [act, domain]) {
    if (act === undefined) return await show(values, "peers", (peers: readonly PeerView[]) => peers.map(line));
    if (domain === undefined && act.includes(".")) {
      return await show(values, "peers", (peers: readonly PeerView[]) => peers.filter(({ peer }) => peer === act).map(line));
    }
    if ((act !== "retry" && act !== "drop-queue") || domain === undefined) throw usage(`peers takes DOMAIN, retry DOMAIN or drop-queue DOMAIN, not "${act}"`);
    const isDrop = act === "drop-queue";
    if (isDrop && values["yes"] !== true) throw usage(`what waits for ${domain} would be lost: say it with --yes`);
    await (await operated(values)).json(isDrop ? "DELETE" : "POST", `peers/${domain}`);
    print(`${domain}: ${isDrop ? "nothing waits any more" : "tried now"}`);
    return 0;
  },
};
