// What waits for other providers, over all objects: looked at, tried now, dropped.

import type { Env } from "../core.js";
import type { PeerView } from "./peer-view.js";
import { CLASSES, ask, objectsOf, type Listed } from "./state.js";

/** Objects that are asked at once. */
const AT_ONCE = 16;

/** What waits for a provider in one object. Times are in ms since 1970. */
interface Waiting { readonly peer: string; readonly entries: number; readonly failingSince: number | null; readonly attempts: number; readonly givenUp: boolean }

/** All other providers that were met or for which something waits, by domain. */
export async function peersOf(env: Env): Promise<readonly PeerView[]> {
  const { json } = await ask(env, "peers");
  const views = new Map(((json ?? []) as readonly Listed[]).map(({ name, since }) => [name, viewOf(name, since)]));
  await everyObject(env, async (object) => {
    // One that fails has a line in the log, and does not hide the others.
    const { json: waits } = await ask(env, "waiting", object);
    for (const waiting of (waits ?? []) as readonly Waiting[]) {
      const view = views.get(waiting.peer) ?? viewOf(waiting.peer, null);
      views.set(waiting.peer, view);
      view.entries += waiting.entries;
      view.objects += waiting.entries > 0 ? 1 : 0;
      view.givenUp += waiting.givenUp ? 1 : 0;
      if (waiting.failingSince !== null) view.failingSince = Math.min(view.failingSince ?? Infinity, waiting.failingSince);
    }
  });
  return [...views.values()].sort((one, other) => (one.peer < other.peer ? -1 : 1));
}

/** Has what waits for a provider tried now, or dropped, in every object; resolves to whether that is a domain. */
export async function onPeer(env: Env, what: "retry" | "drop", peer: string): Promise<boolean> {
  let isDomain = true;
  await everyObject(env, async (object) => { isDomain &&= (await ask(env, what, object, peer)).status !== 400; });
  return isDomain;
}

async function everyObject(env: Env, act: (object: string) => Promise<void>): Promise<void> {
  for (const className of CLASSES) {
    let batch: Promise<void>[] = [];
    for await (const { name } of objectsOf(env, className)) {
      batch.push(act(`${className} ${name}`));
      if (batch.length === AT_ONCE) {
        await Promise.all(batch);
        batch = [];
      }
    }
    await Promise.all(batch);
  }
}

function viewOf(peer: string, since: number | null): PeerView {
  return { peer, since, entries: 0, objects: 0, failingSince: null, givenUp: 0 };
}
