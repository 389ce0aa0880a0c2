/**
 * The provider's users and their devices: looked at, deleted, revoked.
 */

import { usage, type Command } from "../arguments.js";
import { operated } from "../operator.js";
import { print } from "../running.js";
import { SHOW_OPTIONS, listed, show, timeOf } from "../shown.js";

interface User { readonly user: string; readonly devices: readonly { readonly device: string; readonly since: number }[] }

export const USERS: Command = {
  name: "users",
  help: `users [USER]               its users, since when; or the devices of one
  users delete USER          delete one for good, with all devices; rooms are told
  users revoke-device DEVICE revoke a device for good; the user's others take it out of rooms
    --yes                    what cannot be undone needs it`,
  options: { ...SHOW_OPTIONS, yes: { type: "boolean" } },
  operands: ["[delete|revoke-device]", "[USER]"],
  async run(values, [act, what]) {
    if (act === undefined) return await show(values, "users", listed);
    if (what === undefined && act.includes("@")) {
      return await show(values, `users/${encodeURIComponent(act)}`, ({ devices }: User) => devices.map(({ device, since }) => `${timeOf(since)}  ${device}`));
    }
    if ((act !== "delete" && act !== "revoke-device") || what === undefined) throw usage(`users takes USER, delete USER or revoke-device DEVICE, not "${act}"`);
    if (values["yes"] !== true) throw usage(`${what} would be gone for good: say it with --yes`);
    const isUser = act === "delete";
    await (await operated(values)).json("DELETE", `${isUser ? "users" : "devices"}/${encodeURIComponent(what)}`);
    print(`${what}: ${isUser ? "deleted" : "revoked"}`);
    return 0;
  },
};
