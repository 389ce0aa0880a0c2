// The core of the module for tests in the place of the client's: it traps when a message's text says so, and
// at as many of the next frames as `trappingFrames` says.

import { ClientCore as Core } from "../../build/wasm/testing/testing.js";

export * from "../../build/wasm/testing/testing.js";

export class ClientCore extends Core {
  send(room, key, content, now) {
    if (new TextDecoder().decode(content) === "trap") this.trap();
    return super.send(room, key, content, now);
  }

  handleFrame(frame, now) {
    if (globalThis.trappingFrames > 0) {
      globalThis.trappingFrames -= 1;
      this.trap();
    }
    super.handleFrame(frame, now);
  }
}
