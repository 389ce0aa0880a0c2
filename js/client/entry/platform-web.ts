import { setPlatform } from "../platform.js";

setPlatform({
  // Literal, so that bundlers find the file.
  loadWasm: async () => new URL("./client.wasm", import.meta.url),
  webSocket: async () => WebSocket,
  durable: true,
});
