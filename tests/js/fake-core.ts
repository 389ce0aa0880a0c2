// A core that does what the test tells it.

import type { CoreEvent } from "../../js/client/host/engine.js";
import type { CoreAnswer } from "../../js/client/host/transport.js";
import type { CoreDelivery, CoreMessage } from "../../js/client/message.js";
import type { CorePending, CoreRoomState } from "../../js/client/room-state.js";
import type { RowChange } from "../../js/client/store.js";

/** What the pump needs of a core: its next answers are the arrays' elements. */
export class FakeCore {
  changes: RowChange[] = [];
  events: CoreEvent[] = [];
  frames: Uint8Array[] = [];
  requests: unknown[] = [];
  answers: (CoreAnswer | undefined)[] = [];
  wake: number | undefined;
  freed = 0;
  polls = 0;
  retries = 0;
  refreshes = 0;
  takeChanges() { return this.changes.splice(0); }
  takeEvents() { return this.events.splice(0); }
  takeFrames() { return this.frames.splice(0); }
  nextWake() { return this.requests.length > 0 ? 0 : this.wake; }
  pollRequest() { this.polls += 1; return this.requests.shift(); }
  handleResponse(_id: number, answer: CoreAnswer | undefined) { this.answers.push(answer); }
  isRegistered() { return false; }
  socketPath() { return "/socket"; }
  hello() { return new Uint8Array([7]); }
  handleFrame() { /* nothing */ }
  retryNow() { this.retries += 1; }
  refreshDevices() { this.refreshes += 1; }
  free() { this.freed += 1; }
}

/** A core with rooms that notes what is asked of it; an ask gets the next number. */
export class FakeRooms extends FakeCore {
  readonly states = new Map<string, CoreRoomState>();
  readonly messages: CoreMessage[] = [];
  readonly deliveries: CoreDelivery[] = [];
  readonly calls: unknown[][] = [];
  next = 1;
  user() { return "alice@alpha.example"; }
  device() { return "alice@alpha.example/phone"; }
  /** What is to be done in rooms without a state. */
  readonly begun = new Map<string, CorePending[]>();
  rooms() { return [...this.states.keys(), ...this.begun.keys()]; }
  pending(room: string) { return this.begun.get(room) ?? this.states.get(room)?.pending ?? []; }
  roomState(room: string) { return structuredClone(this.states.get(room)); }
  availableRooms() { return []; }
  devices() { return [{ uri: this.device(), registeredAt: 1 }]; }
  keyPackageStock() { return { available: 0, target: 20, lastResort: 0 }; }
  verifiedUsers() { return []; }
  consentIncoming() { return []; }
  consentGranted() { return []; }
  history(room: string, before: number | undefined, limit: number) {
    return this.messages.filter((message) => message.room === room && message.position < (before ?? Infinity)).slice(-limit);
  }
  reading() { return { readTo: 0, unread: 0, waiting: 0, failed: 0 }; }
  unsent(room: string) { return this.deliveries.filter((delivery) => delivery.room === room); }
  syncRooms() { /* nothing */ }
  cancel() { return true; }
  createRoom(...call: unknown[]) { return this.#noted("createRoom", call); }
  joinRoom(...call: unknown[]) { return this.#noted("joinRoom", call); }
  removeUser(...call: unknown[]) { return this.#noted("removeUser", call); }
  send(...call: unknown[]) { this.#noted("send", call); }
  #noted(name: string, call: unknown[]) {
    this.calls.push([name, ...call.slice(0, -1)]);
    return this.next++;
  }
}
