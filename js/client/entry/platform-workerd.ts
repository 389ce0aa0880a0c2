import module from "../client.wasm";
import { setPlatform } from "../platform.js";

setPlatform({
  // Bytes cannot be compiled in workerd: the module has to be imported.
  loadWasm: async () => module,
  webSocket: async () => WebSocket,
  durable: false,
});
