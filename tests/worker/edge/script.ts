/**
 * A script of what the hub does with an object's storage, to be run on a Durable Object's and on what
 * stands in for it in examples-web/two-clients. This module is the Worker for the former.
 */

import { MemoryStorage } from "../../../examples-web/two-clients/edge/sql.js";
import { ObjectRows } from "../../../js/hub/storage.js";

type Storage = Pick<DurableObjectStorage, "sql" | "transactionSync">;

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

/** What the storage answers, step by step. */
function play(storage: Storage): unknown[] {
  const seen: unknown[] = [];
  const rows = new ObjectRows(storage as DurableObjectStorage);
  const read = (...key: number[]): void => { seen.push(list(rows.read(bytes(...key)))); };
  const scan = (from: number[], before: number[] | undefined, limit: number): void => {
    seen.push(rows.scan(bytes(...from), before && bytes(...before), limit).map(list));
  };
  const failing = (act: () => void): void => {
    try {
      storage.transactionSync(act);
      seen.push("did not fail");
    } catch (error) {
      seen.push(String(error).includes("meant") ? "meant to" : "failed");
    }
    rows.reload();
  };

  seen.push(rows.name ?? null);
  read(1);
  scan([], undefined, 10);
  rows.tell("the object");
  failing(() => {
    rows.apply([[bytes(1), bytes(1)]]);
    throw new Error("meant");
  });
  read(1);
  rows.apply([[bytes(2, 0), bytes(20)], [bytes(2), bytes(2)], [bytes(), bytes()], [bytes(255), bytes(1, 2, 3)], [bytes(1, 255, 7), bytes(17)]]);
  scan([], undefined, 10);
  scan([1], [2], 10);
  scan([2], [2, 0, 0], 1);
  scan([3], [2], 10);
  scan([2], undefined, 0);
  // A negative limit is none.
  scan([], undefined, -1);
  scan([1], [2, 1], -1);
  read();
  read(2);
  read(2, 1);
  rows.apply([[bytes(2), bytes(9, 9)], [bytes(255), undefined], [bytes(77), undefined]]);
  scan([], undefined, 10);
  failing(() => {
    rows.apply([[bytes(2), bytes(0)]]);
    failing(() => {
      rows.apply([[bytes(2, 0), undefined]]);
      throw new Error("meant");
    });
    scan([], undefined, 10);
    throw new Error("meant");
  });
  scan([], undefined, 10);
  seen.push(new ObjectRows(storage as DurableObjectStorage).name ?? null);
  failing(() => { storage.sql.exec("CREATE TABLE object(name TEXT)"); });
  const written = bytes(5);
  rows.apply([[bytes(50), written]]);
  written[0] = 6;
  read(50);
  return seen;
}

function list(value: Uint8Array | undefined): number[] | null { return value === undefined ? null : [...value]; }

/** On what stands in for a Durable Object's storage. */
export function playInMemory(): unknown[] {
  return play(new MemoryStorage() as unknown as Storage);
}

export class HubRoom {
  readonly #storage: DurableObjectStorage;

  constructor(state: DurableObjectState) { this.#storage = state.storage; }

  fetch(): Response { return Response.json(play(this.#storage)); }
}
export class Provider {}
export class FollowedRoom {}
export class User {}

interface Env { readonly HUB_ROOM: { getByName(name: string): { fetch(url: string): Promise<Response> } } }

export default {
  fetch: (_request: Request, env: Env): Promise<Response> => env.HUB_ROOM.getByName("one").fetch("https://object/"),
};
