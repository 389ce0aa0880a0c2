// What was exchanged, as lanes and arrows: the figure without its picture.

import { contentOf, epochsOf, frameOf, type Decoder, type Field } from "./decode.js";
import type { Exchange } from "./exchange.js";

/** Somebody who speaks: a column of the figure. */
export interface Lane {
  /** A provider's domain or a device's URI. */
  readonly id: string;
  readonly name: string;
  readonly kind: "device" | "provider";
  /** Whether rooms are at this provider. */
  readonly hub: boolean;
}

/** How an arrow is drawn. */
export type ArrowKind = "request" | "response" | "fan-out" | "socket";

/** One line of the figure. */
export interface Arrow {
  readonly key: string;
  readonly entry: Entry;
  readonly kind: ArrowKind;
  readonly from: string;
  readonly to: string;
  /** In ms since 1970. */
  readonly at: number;
  readonly label: string;
  /** Whether a provider refused, or did not answer. */
  readonly failed: boolean;
  /** For what was tried before: how long it waited, in ms. */
  readonly waited?: number;
  /** Length of the body, in bytes. */
  readonly bytes: number;
}

/** A heading between arrows. */
export interface Heading { readonly key: string; readonly at: number; readonly heading: string }
export type Row = Arrow | Heading;

/** An exchange in the log. */
export interface Entry {
  readonly id: number;
  readonly exchange: Exchange;
  /** What the bodies say, when there is a decoder for them. */
  readonly request: Field | undefined;
  readonly response: Field | undefined;
  /** In ms: how long after the same failed. */
  readonly waited?: number;
}

/** As many exchanges are kept; then the oldest go. */
export const MOST_ENTRIES = 200;

/** Everything that was told, of late. */
export class Log {
  readonly #decode: Decoder;
  #items: (Entry | Heading)[] = [];
  #next = 0;

  constructor(decode: Decoder) { this.#decode = decode; }

  /** The number of exchanges. */
  get size(): number { return this.#entries().length; }

  add(exchange: Exchange): void {
    const { request, response } = exchange;
    const endpoint = endpointOf(exchange);
    const before = this.#entries().findLast((entry) => isSame(entry.exchange, exchange));
    this.#push({
      id: this.#next,
      exchange,
      // A provider's frame is what `inspect` calls a response.
      request: this.#decode(endpoint, exchange.via === "socket" && !isDevice(exchange.from) ? "response" : "request", request),
      response: response && this.#decode(endpoint, "response", response),
      ...(before !== undefined && isFailure(before.exchange) ? { waited: exchange.at - before.exchange.endedAt } : {}),
    });
  }

  /** Sets a heading over what comes from now on. */
  head(heading: string, at: number): void {
    this.#push({ key: `heading ${String(this.#next)}`, at, heading });
  }

  clear(): void { this.#items = []; }

  /**
   * Those who speak, by name, and as the draft has them: the first provider's devices stand left of
   * it, the others' right.
   */
  lanes(): readonly Lane[] {
    const entries = this.#entries();
    const speakers = [...new Set(entries.flatMap(({ exchange: { from, to } }) => [from, to]).filter((id) => id !== ""))].sort();
    const hubs = new Set(entries.flatMap(({ exchange }) => roomOf(exchange)?.domain ?? []));
    // A device's provider is there before anybody hears of it.
    const [first = "", ...others] = new Set(speakers.map((id) => (isDevice(id) ? domainOf(id) : id)).sort());
    const devicesOf = (provider: string): string[] => speakers.filter((id) => isDevice(id) && domainOf(id) === provider);
    const ids = speakers.length === 0 ? [] : [...devicesOf(first), first, ...others.flatMap((other) => [other, ...devicesOf(other)])];
    return ids.map((id): Lane => ({ id, name: nameOf(id, ids), kind: isDevice(id) ? "device" : "provider", hub: hubs.has(id) }));
  }

  /** The first `count` exchanges that were told, in the order in which things happened. */
  rows(count = Infinity): readonly Row[] {
    let left = count;
    const rows = this.#items.flatMap((item): Row[] => {
      if ("heading" in item) return left > 0 ? [item] : [];
      left -= 1;
      return left >= 0 ? arrowsOf(item) : [];
    });
    return rows.sort((one, other) => one.at - other.at);
  }

  #entries(): Entry[] {
    return this.#items.filter((item) => "exchange" in item);
  }

  #push(item: Entry | Heading): void {
    this.#next += 1;
    this.#items.push(item);
    while (this.size > MOST_ENTRIES) this.#items.splice(this.#items.findIndex((other) => "exchange" in other), 1);
  }
}

function arrowsOf(entry: Entry): Arrow[] {
  const { exchange, waited } = entry;
  const { from, to, via, at, endedAt, status, code, request, response } = exchange;
  const key = String(entry.id);
  const failed = isFailure(exchange);
  const kind = via === "socket" ? "socket" : endpointOf(exchange) === "notify" ? "fan-out" : "request";
  const asked: Arrow = {
    key, entry, kind, from, to, at, label: requestLabel(entry), failed: failed && status === undefined, bytes: request.length,
    ...(waited === undefined ? {} : { waited }),
  };
  if (via === "socket" || status === undefined) return [asked];
  const label = code === undefined || code === "success" ? String(status) : `${String(status)} ${code}`;
  return [asked, { key: `${key} response`, entry, kind: "response", from: to, to: from, at: endedAt, label, failed, bytes: response?.length ?? 0 }];
}

/** "/update commit, Welcome, epoch 6 → 7", with a slash between providers, as in the draft's figures. */
function requestLabel({ exchange, request, waited }: Entry): string {
  const { via, what } = exchange;
  const name = via === "socket" ? (frameOf(request) ?? what) : via === "provider" ? `/${endpointOf(exchange)}` : what;
  const words = [name, contentOf(request)].filter((part) => part !== "").join(" ");
  return [words, epochsOf(request), waited === undefined ? undefined : `again after ${(waited / 1000).toFixed(1)} s`].filter((part) => part !== undefined).join(", ");
}

/** The endpoint: "update" of `/v1/update/…` and of `/client/v1/update/…`. */
export function endpointOf({ via, path }: Pick<Exchange, "via" | "path">): string {
  return (via === "provider" ? /^\/(?:v1|\.well-known)\/([^/?]+)/ : /^\/client\/v1\/([^/?]+)/).exec(path)?.[1] ?? path;
}

/** The room in the path. */
export function roomOf(exchange: Exchange): { readonly room: string; readonly domain: string } | undefined {
  const [, room] = /\/(?:update|submitMessage|notify|groupInfo|rooms|events)\/([^?]+)/.exec(exchange.path) ?? [];
  return room === undefined ? undefined : { room, domain: domainOf(room) };
}

/** Whether somebody says no, or nothing. */
export function isFailure({ via, status }: Exchange): boolean {
  return via !== "socket" && (status === undefined || status >= 400);
}

function isSame(one: Exchange, other: Exchange): boolean {
  return one.from === other.from && one.to === other.to && one.path === other.path && one.method === other.method
    && one.request.length === other.request.length && one.request.every((byte, index) => byte === other.request[index]);
}

function isDevice(id: string): boolean { return id.includes("@") || id.startsWith("mimi://"); }

function domainOf(identifier: string): string {
  const [, domain = ""] = /^(?:mimi:\/\/|[^@]*@)([^/]*)/.exec(identifier) ?? [];
  return domain;
}

/** A device is called by its user; two of one user by a piece of their own names too. */
function nameOf(id: string, all: readonly string[]): string {
  if (!isDevice(id)) return id;
  const userOf = (device: string): string => device.replace(/\/[^/]*$/, "");
  const user = userOf(id);
  const local = user.startsWith("mimi://") ? user.replace(/^.*\//, "") : user.replace(/@.*$/, "");
  const several = all.filter((other) => isDevice(other) && userOf(other) === user).length > 1;
  return several ? `${local}/${id.slice(id.lastIndexOf("/") + 1).slice(0, 4)}` : local;
}
