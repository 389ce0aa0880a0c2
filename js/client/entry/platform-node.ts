import { readFile } from "node:fs/promises";
import { setPlatform } from "../platform.js";

setPlatform({
  loadWasm: () => readFile(new URL("../client.wasm", import.meta.url)),
  // Node 20 has no WebSocket of its own.
  webSocket: async () => (await import("ws")).default as unknown as typeof WebSocket,
  durable: false,
});
