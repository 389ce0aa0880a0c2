// This package's low layer. Its commits come with the GroupInfo that a hub wants, and with the rows to persist.

import { Group, Identity, KeyPackageStore, uri, wire, type Pending } from "@mimi-edge/client/low";
import type { Stack } from "./stack.js";

interface Person { readonly identity: Identity; readonly keys: KeyPackageStore; readonly keyPackage: Uint8Array }

function pendingOf(group: Group): Pending {
  const { pending } = group;
  if (pending === undefined) throw new Error("no commit is pending");
  return pending;
}

export const mimiEdge: Stack<Person, Group> = {
  name: "@mimi-edge/client",
  async person(name, suite) {
    // All are devices of one user: the participant list stays as it is.
    const identity = Identity.create(uri.client(`alice@alpha.example/${name}`), suite);
    const keys = KeyPackageStore.open(identity);
    const [keyPackage] = keys.create({ now: Date.now(), lastResort: true });
    if (keyPackage === undefined) throw new Error("no KeyPackage");
    return { identity, keys, keyPackage };
  },
  async keyPackage({ keys }) {
    const [keyPackage] = keys.create({ now: Date.now() });
    keys.takeWrites();
    if (keyPackage === undefined) throw new Error("no KeyPackage");
    return keyPackage;
  },
  async create({ identity }) {
    const group = Group.create(identity, uri.room("bench@alpha.example"), { now: Date.now() });
    group.takeWrites();
    return group;
  },
  async join({ identity, keys }, welcome, tree) {
    const group = Group.join(identity, keys, welcome, tree);
    group.takeWrites();
    return group;
  },
  async commit(group, added) {
    const add = added.map(({ keyPackage }) => keyPackage);
    const { commit, welcome, update } = group.commit({ add }, { now: Date.now(), update: add.length === 0 });
    group.takeWrites();
    const request = wire.UpdateRequest.decode(update);
    if (!("ratchetTreeOption" in request) || request.ratchetTreeOption.representation !== "full") throw new Error("no tree");
    return { commit, tree: request.ratchetTreeOption.ratchetTree, ...(welcome && { welcome }) };
  },
  async accept(group) { pendingOf(group).accept(); },
  async reject(group) { pendingOf(group).reject(); },
  async process(group, commit) {
    const incoming = group.process(commit);
    if (incoming.kind !== "commit") throw new Error(incoming.kind);
    incoming.accept();
  },
  async encrypt(group, content) {
    const message = group.encrypt(content);
    group.takeWrites();
    return message;
  },
  async decrypt(group, message) {
    const incoming = group.process(message);
    if (incoming.kind !== "application") throw new Error(incoming.kind);
    group.takeWrites();
    return incoming.content;
  },
  authenticator: (group) => group.authenticator,
};
