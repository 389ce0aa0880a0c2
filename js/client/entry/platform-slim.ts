import { MimiError } from "../errors.js";
import { setPlatform } from "../platform.js";
import { workers } from "./workers.js";

setPlatform({
  loadWasm: async () => { throw new MimiError("wasm-load", "this entry has no wasm of its own: call init(source) first"); },
  webSocket: async () => WebSocket,
  durable: true,
  ...workers,
});
