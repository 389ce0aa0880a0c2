// What happens in every environment: two people at one provider, one message between them.

/** `client` is the package's namespace; `name` makes people and room of this run its own. */
export async function talk({ Client, uri }, { provider, name }) {
  const open = (who) =>
    Client.open({ user: uri.user(`${who}-${name}@alpha.example`), provider, store: "memory" });
  const alice = await open("alice");
  const bob = await open("bob");
  try {
    const read = new Promise((resolve) => {
      bob.addEventListener("message", ({ detail }) => resolve(detail.text), { once: true });
    });
    const room = await alice.createRoom({ id: name });
    await room.add(bob.user);
    const sent = await room.send(`hello from ${name}`);
    await sent.accepted;
    return { text: await read, runtime: alice.runtime?.get() };
  } finally {
    await Promise.all([alice.close(), bob.close()]);
  }
}
