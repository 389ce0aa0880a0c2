import { setPlatform } from "../platform.js";
import { workers } from "./workers.js";

setPlatform({
  // Literal, so that bundlers find the files.
  loadWasm: async () => new URL("./client.wasm", import.meta.url),
  inlineWasm: async () => await (await import("./dist/wasm-inline.js")).wasm(),
  webSocket: async () => WebSocket,
  durable: true,
  ...workers,
});
