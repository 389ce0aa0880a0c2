// What happens in the room, step by step: the draft's overview, with two users.

import type { Message, Room } from "@mimi-edge/client";
import { until, type Person } from "./people.js";

export interface Step {
  readonly title: string;
  /** What happens, and what to look at. */
  readonly words: string;
  /** Does it; resolves to what came of it when everybody has noticed. */
  act(people: { readonly alice: Person; readonly bob: Person }): Promise<string>;
}

export const STEPS: readonly Step[] = [
  {
    title: "Alice creates a room",
    words: "Her device makes an MLS group of one and gives its GroupInfo to her provider, which is the room's hub from now on. MIMI has no say in it: nothing leaves alpha.example.",
    async act({ alice }) {
      const room = await alice.client.createRoom({ id: "clubhouse" });
      return `${room.uri} is there, at epoch ${String(room.state.get().epoch)}.`;
    },
  },
  {
    title: "Alice adds Bob",
    words: "The hub fetches a KeyPackage of each of Bob's devices from his provider. Alice's device commits: Bob into the participant list (AppSync), his devices into the group (Add). The hub checks both, takes the commit and passes the Welcome on.",
    async act({ alice, bob }) {
      const result = await the(alice).add(bob.client.user);
      await until(bob.client.rooms, (rooms) => rooms.length > 0);
      return result.state === "added" ? `Bob is in, with ${String(result.devices)} device.` : "Bob is asked.";
    },
  },
  {
    title: "Bob says hello",
    words: "To providers it is a PrivateMessage: they see the room and the epoch, not what is said, nor which device says it. Open one of the arrows. The hub gives it a time and fans it out.",
    act: ({ alice, bob }) => say(bob, "Hello, Alice!", alice),
  },
  {
    title: "Alice answers",
    words: "The hub is her own provider: one exchange less.",
    act: ({ alice, bob }) => say(alice, "Hi Bob, nice room, isn't it?", bob),
  },
  {
    title: "Bob renews his keys",
    words: "A commit without proposals: new keys for Bob's device and everything above it in the tree. Whoever copied his old keys reads nothing that is sent from now on. The epoch goes up for both.",
    async act({ alice, bob }) {
      await the(bob).updateKeys();
      await sameEpoch(alice, bob);
      return `Both are at epoch ${String(the(bob).state.get().epoch)}, with the same secrets.`;
    },
  },
  {
    title: "Bob leaves",
    words: "Nobody can take itself out of an MLS group. Bob's device proposes it and the hub keeps the proposals, until the next commit.",
    async act({ bob }) {
      // It resolves when somebody has committed: the next step.
      void the(bob).leave();
      await until(the(bob).state, ({ leaving }) => leaving);
      return "The hub has Bob's proposals. He is in the group until somebody commits.";
    },
  },
  {
    title: "Alice commits",
    words: "Whatever she commits, it has to include what the hub keeps. When her device does not have it yet, the hub refuses with 401 and the proposals, and the device commits again, over them.",
    async act({ alice, bob }) {
      await the(alice).updateKeys();
      await until(the(alice).state, ({ participants }) => participants.length === 1);
      await until(the(bob).state, ({ phase }) => phase === "left");
      return "Alice is alone in the room: Bob cannot read what is sent from now on.";
    },
  },
];

/** Sends a message, and waits until somebody else has read it. */
export async function say(from: Person, text: string, reader: Person): Promise<string> {
  const isIt = (message: Message): boolean => message.sender === from.client.user && message.text === text;
  const before = reader.messages.filter(isIt).length;
  const sent = await the(from).send(text);
  await sent.accepted;
  while (reader.messages.filter(isIt).length === before) await next(reader);
  return `${reader.name} reads “${text}”.`;
}

/** The next message that somebody gets. */
async function next({ client }: Person): Promise<void> {
  await new Promise<void>((resolve) => { client.addEventListener("message", () => { resolve(); }, { once: true }); });
}

/** The room of a person who is in it. */
function the(person: Person): Room {
  const room = person.room();
  if (room === undefined) throw new Error(`${person.name} is in no room`);
  return room;
}

async function sameEpoch(one: Person, other: Person): Promise<void> {
  await until(the(one).state, ({ epoch }) => epoch === the(other).state.get().epoch);
}
