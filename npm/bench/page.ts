// The page in which it is measured; npm/run/bench.mjs calls what it puts on the window.

import { init } from "@mimi-edge/client/low";
import { measure, type Measured } from "./measure.js";
import { mimiEdge } from "./mimi-edge.js";
import type { Suite } from "./stack.js";
import { tsMls } from "./ts-mls.js";

/** The memories of the modules that were instantiated. */
const memories: WebAssembly.Memory[] = [];
WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
  construct(target, args: ConstructorParameters<typeof WebAssembly.Instance>) {
    const instance = new target(...args);
    const { memory } = instance.exports;
    if (memory instanceof WebAssembly.Memory) memories.push(memory);
    return instance;
  },
});

interface WithMemory extends Performance {
  /** In isolated pages of Chromium only. */
  measureUserAgentSpecificMemory?(): Promise<{ readonly bytes: number }>;
}

export interface Bench {
  /** Milliseconds from a page that has the script to a module that is ready. */
  startUp(): Promise<number>;
  run(stack: string, suite: Suite, members: number, repeats: number): Promise<Measured & Memory>;
}

/** Bytes after the run, of the module and of the rest; the latter is 0 where the browser does not tell. */
export interface Memory { readonly memory: { readonly wasm: number; readonly javascript: number } }

declare global { var bench: Bench }

globalThis.bench = {
  async startUp() {
    const start = performance.now();
    await init();
    return performance.now() - start;
  },
  async run(stack, suite, members, repeats) {
    const measured = stack === tsMls.name
      ? await measure(tsMls, suite, members, repeats)
      : await init().then(() => measure(mimiEdge, suite, members, repeats));
    const wasm = memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
    const rest = await (performance as WithMemory).measureUserAgentSpecificMemory?.();
    return { ...measured, memory: { wasm, javascript: rest?.bytes ?? 0 } };
  },
};
