// An application's imports: each subpath has its declarations, under the oldest and the newest TypeScript.
import { Client, MimiError, init, uri, type Live, type Room, type UserUri } from "@mimi-edge/client";
import * as inline from "@mimi-edge/client/inline";
import * as low from "@mimi-edge/client/low";
import * as slim from "@mimi-edge/client/slim";

const user: UserUri = uri.user("alice@alpha.example");
// @ts-expect-error -- a plain string is no address
const plain: UserUri = "alice@alpha.example";

export async function firstRoom(): Promise<Room> {
  await init(new Response());
  await using client = await Client.open({ user, provider: "http://127.0.0.1:8801", store: "memory" });
  const rooms: Live<readonly Room[]> = client.rooms;
  try {
    return rooms.get()[0] ?? (await client.createRoom());
  } catch (error) {
    if (MimiError.is(error, "offline")) { const code: "offline" = error.code; throw new Error(code); }
    throw error;
  }
}

/** One package: what one entry makes, another one takes. */
export const same: readonly (typeof Client)[] = [inline.Client, slim.Client];
export const decode: (bytes: Uint8Array) => low.UpdateRequest = low.wire.UpdateRequest.decode;
export { plain };
