// Alice and Bob: a device each, with what the page shows of it.

import { Client, uri, type Message, type Room } from "@mimi-edge/client";
import type { Provider } from "./network.js";

/** A user with one device. */
export interface Person {
  readonly name: string;
  readonly client: Client;
  /** The room, once this device is in it. */
  room(): Room | undefined;
  /** What was said there, in the hub's order. */
  readonly messages: readonly Message[];
}

/** Opens a device for a new user, and waits until others can add it to rooms. */
export async function person(name: string, provider: Provider, changed: () => void): Promise<Person> {
  const client = await Client.open({
    user: uri.user(`${name.toLowerCase()}@${provider.domain}`),
    provider: `https://${provider.domain}`,
    // Nothing is kept here. An application leaves this out, and has its state in IndexedDB.
    store: "memory",
    // An application leaves these out as well: its providers are on the network.
    fetch: provider.fetch,
    WebSocket: provider.WebSocket,
  });
  const messages: Message[] = [];
  client.addEventListener("message", ({ detail }) => {
    // The same key is the same message, further on its way.
    const index = messages.findIndex(({ key }) => key === detail.key);
    if (index < 0) messages.push(detail);
    else messages[index] = detail;
    changed();
  });
  client.rooms.subscribe((rooms) => {
    for (const room of rooms) room.state.subscribe(changed);
    changed();
  });
  await until(client.keyPackages.stock, ({ published }) => published > 0);
  return { name, client, room: () => client.rooms.get()[0], messages };
}

/** Waits until a value is as it should be. */
export async function until<T>(live: AsyncIterable<T>, is: (value: T) => boolean): Promise<T> {
  for await (const value of live) if (is(value)) return value;
  throw new Error("it ended before");
}
