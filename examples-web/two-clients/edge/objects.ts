// Stands in for Durable Objects: one object per name, made when it is first called, with its storage,
// its alarm and its sockets.

import { SocketEnd } from "./sockets.js";
import { MemoryStorage } from "./sql.js";

/** What the runtime calls of an object. */
interface HubObject {
  handle(name: string, envelope: Uint8Array, body: Uint8Array, id: string): Promise<unknown>;
  push(name: string, envelope: Uint8Array, body: Uint8Array): Promise<boolean>;
  fetch(request: Request): Promise<Response>;
  alarm(): Promise<void>;
  webSocketMessage(socket: WebSocket, message: ArrayBuffer | string): Promise<void>;
  webSocketClose(socket: WebSocket, code: number): Promise<void>;
}

type HubClass<E> = new (state: DurableObjectState, env: E) => HubObject;

/** The objects of one class. */
export function namespace<E>(hubClass: HubClass<E>, env: () => E): { idFromName(name: string): string; get(name: string): Pick<HubObject, "handle" | "push" | "fetch"> } {
  const objects = new Map<string, HubObject>();
  const objectOf = (name: string): HubObject => {
    const object = objects.get(name) ?? create(hubClass, env());
    objects.set(name, object);
    return object;
  };
  return {
    idFromName: (name) => name,
    get: (name) => ({
      // What crosses between objects is a copy.
      handle: async (...call) => structuredClone(await objectOf(name).handle(...structuredClone(call))),
      push: (...call) => objectOf(name).push(...structuredClone(call)),
      fetch: (request) => objectOf(name).fetch(request),
    }),
  };
}

function create<E>(hubClass: HubClass<E>, env: E): HubObject {
  const sockets = new Set<SocketEnd>();
  let alarm: ReturnType<typeof setTimeout> | null = null;
  const storage = new MemoryStorage((at) => {
    clearTimeout(alarm);
    alarm = setTimeout(() => { void object.alarm(); }, at - Date.now());
  });
  const state = {
    storage,
    waitUntil: () => undefined,
    getWebSockets: () => [...sockets].filter(({ isOpen }) => isOpen),
    acceptWebSocket: (socket: SocketEnd) => {
      const asWebSocket = socket as unknown as WebSocket;
      sockets.add(socket);
      socket.hold({
        message: (data) => { void object.webSocketMessage(asWebSocket, data); },
        closed: (code) => {
          sockets.delete(socket);
          void object.webSocketClose(asWebSocket, code);
        },
      });
    },
  };
  const object = new hubClass(state as unknown as DurableObjectState, env);
  return object;
}
