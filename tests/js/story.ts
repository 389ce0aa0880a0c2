// The draft's story, played by three clients, wherever they run: in Node for the demo and the
// workerd tests, in pages for the browser test.

/** What one client shows of a room. */
export interface RoomView {
  readonly epoch: string;
  /** The users on the list, in its order. */
  readonly participants: readonly string[];
}

/** A message that a client received. */
export interface Received { readonly sender: string; readonly text: string }

/** One person with one client. */
export interface Actor {
  readonly user: string;
  createRoom(id: string): Promise<void>;
  /** Resolves to the number of devices that came in. */
  add(room: string, user: string): Promise<number>;
  /** Resolves when the hub has taken the message. */
  send(room: string, text: string): Promise<void>;
  state(room: string): Promise<RoomView | undefined>;
  received(room: string): Promise<readonly Received[]>;
}

export interface Actors { readonly alice: Actor; readonly bob: Actor; readonly cathy: Actor }

/** A step that passed, in words, with what was checked. */
export interface StepReport { readonly title: string; readonly checked: readonly string[] }

export interface StoryResult { readonly passed: number; readonly total: number; readonly error?: unknown }

/** The longest wait for something that has to arrive by itself. */
const PATIENCE_MILLIS = 20_000;
const POLL_MILLIS = 15;

/**
 * Plays the draft's sections from "Alice Creates a Room" to "Cathy Sends a Message". `before` is
 * called with the title of each step. Stops at the first step that fails.
 */
export async function playStory(
  { alice, bob, cathy }: Actors,
  tell: (step: StepReport) => Promise<void> | void,
  before: (title: string, step: number) => Promise<void> | void = () => undefined,
): Promise<StoryResult> {
  const room = `clubhouse@${domainOf(alice.user)}`;
  const users = [alice.user, bob.user, cathy.user];
  const hello = "hello everyone";
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

/** Waits until all of them show this epoch and this list. */
async function agreed(room: string, actors: readonly Actor[], epoch: number, users: readonly string[]): Promise<string> {
  for (const actor of actors) {
    await until(async () => {
      const view = await actor.state(room);
      return view?.epoch === String(epoch) && view.participants.join() === users.join() ? view : undefined;
    }, async () => `${actor.user} does not show epoch ${String(epoch)} with ${users.join(", ")} but ${JSON.stringify(await actor.state(room))}`);
  }
  const who = actors.length === 1 ? "the client" : `all ${String(actors.length)} clients`;
  return `epoch ${String(epoch)} and the list [${users.join(", ")}] on ${who}`;
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
