import { wasm } from "./dist/wasm-inline.js";
import { setPlatform } from "../platform.js";
import { workers } from "./workers.js";

setPlatform({
  loadWasm: wasm,
  webSocket: async () => WebSocket,
  durable: true,
  ...workers,
});
