// Where one is on the page: the part of the address behind “#”, so that Back works and no server sees it.

import { uri, type RoomUri } from "@mimi-edge/client";
import { Value } from "./glue.js";

/** What is beside the room, or in front of it on a narrow screen. */
export type Panel = "people" | "protocol";

export interface Place {
  readonly view: "rooms" | "room" | "settings";
  readonly room?: RoomUri;
  readonly panel?: Panel;
}

/** The place that the address names. */
export const place = new Value<Place>(read(location.hash));
addEventListener("hashchange", () => { place.set(read(location.hash)); });

const phone = matchMedia("(max-width: 39.99rem)");

/** Whether the screen shows one pane at a time, as the style sheet has it. */
export const narrow = new Value(phone.matches);
phone.addEventListener("change", () => { narrow.set(phone.matches); });

/** A link to a place. */
export function hrefOf({ view, room, panel }: Place): string {
  return ["#", ...(room === undefined ? (view === "settings" ? [view] : []) : ["room", encodeURIComponent(room)]), ...(panel === undefined ? [] : [panel])].join("/");
}

export function go(to: Place): void { location.hash = hrefOf(to); }

/** The place of a room; where there is space for it, the protocol stays open. */
export function inRoom(room: RoomUri): Place {
  return { view: "room", room, ...(place.get().panel === "protocol" && !narrow.get() ? { panel: "protocol" } : {}) };
}

/** The same place without its panel. */
export function withoutPanel({ view, room }: Place): Place {
  return { view, ...(room === undefined ? {} : { room }) };
}

/** The one pane that a narrow screen shows. */
export function paneOf({ view, panel }: Place): Place["view"] | Panel {
  return panel ?? view;
}

function read(hash: string): Place {
  const parts = hash.replace(/^#\/?/, "").split("/");
  const last = parts.at(-1);
  const panel = last === "people" || last === "protocol" ? { panel: last } as const : {};
  const room = parts[0] === "room" ? roomIn(parts[1] ?? "") : undefined;
  if (room !== undefined) return { view: "room", room, ...panel };
  return { view: parts[0] === "settings" ? "settings" : "rooms", ...panel };
}

function roomIn(part: string): RoomUri | undefined {
  try {
    return uri.room(decodeURIComponent(part));
  } catch {
    return undefined;
  }
}
