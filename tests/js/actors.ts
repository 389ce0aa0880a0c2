// People of the story whose clients run in this process.

import { uri, type Client, type Room, type RoomUri } from "@mimi-edge/client";
import type { Actor, Received } from "./story.js";

/** The person whose client this is. */
export function actor(client: Client): Actor {
  const received: (Received & { readonly room: RoomUri })[] = [];
  client.addEventListener("message", ({ detail }) => {
    if (!detail.mine && detail.text !== undefined) received.push({ room: detail.room, sender: detail.sender, text: detail.text });
  });
  const roomOf = (text: string): Room => {
    const room = client.room(uri.room(text));
    if (room === undefined) throw new Error(`${client.user} is not in ${text}`);
    return room;
  };
  return {
    user: client.user,
    async createRoom(id) { await client.createRoom({ id }); },
    async add(room, user) { return (await roomOf(room).add(uri.user(user))).devices; },
    async send(room, text) { await (await roomOf(room).send(text)).accepted; },
    async state(room) {
      const state = client.room(uri.room(room))?.state.get();
      return state === undefined ? undefined : { epoch: String(state.epoch), participants: state.participants.map(({ user }) => user) };
    },
    async received(room) { return received.filter((message) => message.room === room); },
  };
}
