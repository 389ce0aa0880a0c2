// The core of the module for tests in the place of the client's: it traps when a message's text says so, and
// at as many of the next frames as `trappingFrames` says.

import { ClientCore as Core, LowGroup } from "../../build/wasm/testing/testing.js";

export * from "../../build/wasm/testing/testing.js";

const isTrap = (content) => new TextDecoder().decode(content) === "trap";

const { encrypt } = LowGroup.prototype;
LowGroup.prototype.encrypt = function (content, aad) {
  if (isTrap(content)) new Core("trap@alpha.example", [], undefined, Date.now()).trap();
  return encrypt.call(this, content, aad);
};

export class ClientCore extends Core {
  send(room, key, content, now) {
    if (isTrap(content)) this.trap();
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
