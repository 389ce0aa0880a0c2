import type { CoreConsent } from "./consent.js";
import type { CoreEvent } from "./host/engine.js";
import type { RoomState } from "./room-state.js";

/** What a face shows and a host would have told the changes of. */
export interface Shown {
  /** The addresses of the user's devices. */
  readonly devices: readonly string[];
  /** Open requests of others. */
  readonly requests: readonly CoreConsent[];
  /** Where this device stands in each room. */
  readonly phases: ReadonlyMap<string, RoomState["phase"]>;
}

/** The events of what has become another between two hosts of a device, of which neither has told. */
export function between(before: Shown, after: Shown): readonly CoreEvent[] {
  const added = after.devices.filter((device) => !before.devices.includes(device));
  const removed = before.devices.filter((device) => !after.devices.includes(device));
  const requests = after.requests.filter((request) => !before.requests.some((known) => isSame(known, request)));
  return [
    ...(added.length + removed.length === 0 ? [] : [{ type: "devicesChanged" as const, added, removed }]),
    ...requests.map((request): CoreEvent => ({ type: "consentRequested", ...request })),
    ...[...after.phases].flatMap(([room, phase]) => inRoom(room, before.phases.get(room), phase)),
  ];
}

function inRoom(room: string, before: RoomState["phase"] | undefined, after: RoomState["phase"]): readonly CoreEvent[] {
  if (before === after) return [];
  if (after === "gap" || after === "diverged") return [{ type: after, room }];
  return (before === "gap" || before === "diverged") && after === "joined" ? [{ type: "rejoined", room }] : [];
}

function isSame(one: CoreConsent, other: CoreConsent): boolean {
  return one.user === other.user && one.room === other.room && one.at === other.at;
}
