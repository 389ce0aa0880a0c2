/** A Web Lock that is held. Giving it free resolves when the browser says that it is. */
export type Release = () => Promise<void>;

/** Takes a Web Lock: at once or not at all (`ifAvailable`), or when its turn comes, unless `signal` ends the wait. */
export async function takeLock(name: string, options: Pick<LockOptions, "ifAvailable" | "signal">): Promise<Release | undefined> {
  return await new Promise((resolve, reject) => {
    const held: Promise<unknown> = navigator.locks.request(name, options, async (granted) => {
      if (granted === null) {
        resolve(undefined);
        return;
      }
      await new Promise<void>((release) => {
        resolve(async () => {
          release();
          await held;
        });
      });
    });
    held.catch(reject);
  });
}
