// Providers and people of one test file, until it ends.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { MimiError, uri, type RoomUri, type RoomState } from "@mimi-edge/client";
import { person, type Person } from "../js/actors.js";
import { startProviders, type Providers } from "../js/providers.js";
import { until } from "../js/story.js";

/** The story's providers on workerd; people come as they are needed. */
export interface Stage {
  url(domain: string): string;
  /** A new device of this user, connected. */
  open(name: string, options?: Parameters<typeof person>[2]): Promise<Person>;
}

export function stage(options: Parameters<typeof startProviders>[1] = {}): Stage {
  let providers: Providers;
  const people: Person[] = [];
  before(async () => { providers = await startProviders("build/hub/worker.js", options); });
  after(async () => {
    await Promise.all(people.map((one) => one.close()));
    await providers.stop();
  });
  return {
    url: (domain) => providers.url(domain),
    async open(name, options = {}) {
      const one = await person(name, providers.url(uri.domain(uri.user(name))), options);
      people.push(one);
      return one;
    },
  };
}

/** Whether an error has one of these codes; says which it has. */
export function has(...codes: MimiError["code"][]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(MimiError.is(error) && codes.includes(error.code), `${String(error)} (${String((error as Partial<MimiError>).code)})`);
    return true;
  };
}

/** Waits until it is so. */
export async function when(is: () => boolean, otherwise: string): Promise<void> {
  await until(async () => (is() ? true : undefined), async () => otherwise);
}

/** The room as this person's device has it. */
export function stateOf(one: Person, room: RoomUri): RoomState | undefined {
  return one.client().room(room)?.state.get();
}
