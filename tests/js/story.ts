// The draft's story, played by three clients, wherever they run: in Node for the demo and the
// workerd tests, in pages for the browser test.

/** What one client shows of a room. */
export interface RoomView {
  readonly epoch: string;
  /** The users on the list, in its order. */
  readonly participants: readonly string[];
  /** How many devices they have in the room. */
  readonly devices: number;
  /** Whether this device is out of the room. */
  readonly left: boolean;
}

/** A message that a client received. */
export interface Received { readonly sender: string; readonly text: string }

/** One person with one device. */
export interface Actor {
  readonly user: string;
  createRoom(id: string): Promise<void>;
  /** Resolves to the number of devices that came in. */
  add(room: string, user: string): Promise<number>;
  /** Resolves when the hub has taken the message. */
  send(room: string, text: string): Promise<void>;
  /** Commits new keys for this device. Resolves when the hub has taken the commit. */
  updateKeys(room: string): Promise<void>;
  /** Asks to be taken out; that it is out comes later. */
  leave(room: string): Promise<void>;
  /** Joins a room of this person's with this device, which is not in it. */
  join(room: string): Promise<void>;
  state(room: string): Promise<RoomView | undefined>;
  received(room: string): Promise<readonly Received[]>;
  /** The statuses with which this device's own provider answered its `/update` requests, in order. */
  updates(): Promise<readonly number[]>;
  /** Keeps what the provider says of its own accord from reaching this device, until the result is called. */
  holdBack(): Promise<() => Promise<void>>;
  /** Goes away; what is stored stays. */
  close(): Promise<void>;
  /** Comes back, and is connected. */
  open(): Promise<void>;
}

export interface Actors {
  readonly alice: Actor;
  readonly bob: Actor;
  readonly cathy: Actor;
  /** Opens a second device of Cathy's, which nobody has seen before. */
  readonly cathysNewDevice: () => Promise<Actor>;
}

/** A step that passed, in words, with what was checked. */
export interface StepReport { readonly title: string; readonly checked: readonly string[] }

export interface StoryResult { readonly passed: number; readonly total: number; readonly error?: unknown }

/**
 * The longest wait for something that has to arrive by itself: longer than a client waits at the most
 * before it opens its socket again, to a provider that was killed several times in a row.
 */
const PATIENCE_MILLIS = 45_000;
const POLL_MILLIS = 15;

/**
 * Plays the draft's sections from "Alice Creates a Room" to "Bob Leaves the Room", and then lets a new
 * device join. `before` is called with the title of each step. Stops at the first step that fails.
 */
export async function playStory(
  { alice, bob, cathy, cathysNewDevice }: Actors,
  tell: (step: StepReport) => Promise<void> | void,
  before: (title: string, step: number) => Promise<void> | void = () => undefined,
): Promise<StoryResult> {
  const room = `clubhouse@${domainOf(alice.user)}`;
  const users = [alice.user, bob.user, cathy.user];
  const hello = "hello everyone";
  const welcome = "hello again";
  const steps: readonly [string, () => Promise<string[]>][] = [
    ["Alice Creates a Room", async () => {
      await alice.createRoom("clubhouse");
      return [await agreed(room, [alice], 0, users.slice(0, 1))];
    }],
    ["Alice adds Bob to the Room", async () => {
      const devices = await alice.add(room, bob.user);
      return [came(devices), await agreed(room, [alice, bob], 1, users.slice(0, 2))];
    }],
    ["Bob adds Cathy to the Room", async () => {
      const devices = await bob.add(room, cathy.user);
      return [came(devices), await agreed(room, [alice, bob, cathy], 2, users)];
    }],
    ["Cathy Sends a Message", async () => {
      await cathy.send(room, hello);
      return ["the hub accepted it", ...(await Promise.all([alice, bob].map((actor) => heard(actor, room, cathy.user, hello))))];
    }],
    ["Bob Leaves the Room", async () => {
      // Cathy commits before she learns that Bob leaves, as in the draft's figure.
      const letThrough = await cathy.holdBack();
      const proposed = await answersTo(bob);
      await bob.leave(room);
      await until(async () => ((await proposed()) === "200" ? true : undefined), async () => `Bob's proposals were answered with ${await proposed()}`);
      const committed = await answersTo(cathy);
      await cathy.updateKeys(room);
      if ((await committed()) !== "401,200") throw new Error(`Cathy's commits were answered with ${await committed()}`);
      await letThrough();
      const rest = await agreed(room, [alice, cathy], 3, [alice.user, cathy.user]);
      await until(async () => ((await bob.state(room))?.left === true ? true : undefined), async () => "Bob does not see that he is out");
      return ["the hub had Bob's proposals, refused Cathy's commit without them, and took the one over them", rest, `${bob.user} is out`];
    }],
    ["Cathy's New Device Joins", async () => {
      await Promise.all([alice, bob, cathy].map((actor) => actor.close()));
      const device = await cathysNewDevice();
      await device.join(room);
      const joined = await agreed(room, [device], 4, [alice.user, cathy.user], 3);
      await Promise.all([alice.open(), cathy.open()]);
      const all = await agreed(room, [alice, cathy, device], 4, [alice.user, cathy.user], 3);
      await alice.send(room, welcome);
      const read = await heard(device, room, alice.user, welcome);
      await heard(cathy, room, alice.user, welcome);
      return [`nobody else was online: ${joined}`, all, `on both devices ${read}`];
    }],
  ];
  let passed = 0;
  for (const [title, play] of steps) {
    try {
      await before(title, passed + 1);
      await tell({ title, checked: await play() });
      passed += 1;
    } catch (error) {
      return { passed, total: steps.length, error };
    }
  }
  return { passed, total: steps.length };
}

function domainOf(user: string): string {
  return user.slice(user.indexOf("@") + 1);
}

function came(devices: number): string {
  if (devices !== 1) throw new Error(`${String(devices)} devices came in instead of 1`);
  return "1 device came in";
}

/** Waits until all of them show this epoch, this list and so many devices, one for each user unless said otherwise. */
async function agreed(room: string, actors: readonly Actor[], epoch: number, users: readonly string[], devices = users.length): Promise<string> {
  for (const actor of actors) {
    await until(async () => {
      const view = await actor.state(room);
      return view?.epoch === String(epoch) && view.participants.join() === users.join() && view.devices === devices ? view : undefined;
    }, async () => `${actor.user} does not show epoch ${String(epoch)} with ${users.join(", ")} but ${JSON.stringify(await actor.state(room))}`);
  }
  const many = devices === users.length ? "" : ` with ${String(devices)} devices`;
  const who = actors.length === 1 ? "the client" : `all ${String(actors.length)} clients`;
  return `epoch ${String(epoch)} and the list [${users.join(", ")}]${many} on ${who}`;
}

/** What providers and hub say from now on to what this device wants to change; that nobody answered counts for nothing. */
async function answersTo(actor: Actor): Promise<() => Promise<string>> {
  const before = (await actor.updates()).length;
  return async () => (await actor.updates()).slice(before).filter((status) => status > 0 && status < 500).join();
}

async function heard(actor: Actor, room: string, sender: string, text: string): Promise<string> {
  const times = async (): Promise<number> => (await actor.received(room)).filter((message) => message.sender === sender && message.text === text).length;
  await until(async () => ((await times()) > 0 ? true : undefined), async () => `${actor.user} did not receive it`);
  if ((await times()) !== 1) throw new Error(`${actor.user} received it ${String(await times())} times`);
  return `${actor.user} received “${text}” from ${sender}`;
}

/** Asks again until there is an answer. */
export async function until<T>(ask: () => Promise<T | undefined>, otherwise: () => Promise<string>): Promise<T> {
  const end = Date.now() + PATIENCE_MILLIS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > end) throw new Error(await otherwise());
    await new Promise((resolve) => setTimeout(resolve, POLL_MILLIS));
  }
}
