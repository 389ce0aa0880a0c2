import type { Platform } from "../platform.js";

/** What of Trusted Types is used, where a page's policy asks for them. */
interface Factory { createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): URL } }

let policy: ReturnType<Factory["createPolicy"]> | undefined;

/** The URL of a script of this package, in the form that a page with Trusted Types wants: `trusted-types mimi-edge`. */
function trusted(url: string): string | URL {
  const { trustedTypes } = globalThis as { trustedTypes?: Factory };
  try {
    policy ??= trustedTypes?.createPolicy("mimi-edge", { createScriptURL: (own) => own });
  } catch {
    // The page names its policies, and not this one.
  }
  return policy?.createScriptURL(url) ?? url;
}

function fromUrl(url: string): Worker { return new Worker(trusted(url), { type: "module" }); }

/** How browsers make workers of the package's script; nothing where there are none. */
export const workers: Pick<Platform, "workers"> = typeof Worker === "undefined" ? {} : {
  workers: {
    // The URL is literal, so that bundlers find the file. It is whole and needs nothing else of them; as a
    // literal `new Worker(new URL(…))`, pages with Trusted Types would refuse it.
    fromFile: () => fromUrl(new URL("./worker.js", import.meta.url).href),
    fromUrl,
    text: async () => (await import("./dist/worker-inline.js")).text,
  },
};
