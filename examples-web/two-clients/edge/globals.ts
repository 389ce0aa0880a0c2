// Stands in for what a Worker finds as globals and a page has not, or not so. The build puts these
// names in the place of the globals.

export { WebSocketPair } from "./sockets.js";

/** An answer may open a socket, which a page's cannot. */
export class Response extends globalThis.Response {
  constructor(body?: BodyInit | null, init: ResponseInit = {}) {
    const opens = init.status === 101;
    super(body, opens ? { ...init, status: 200 } : init);
    if (opens) Object.defineProperties(this, { status: { value: 101 }, webSocket: { value: init.webSocket } });
  }
}

/** There is no way out but to the peers. */
export function fetch(): Promise<never> {
  return Promise.reject(new TypeError("no such provider in this page"));
}

const TRACE_PREFIX = "mimi-trace ";

/** Whoever wants what the Worker traces. */
export const listener = { onTrace: (_line: string): void => undefined };

const { console: pageConsole } = globalThis as unknown as { readonly console: Console };

/** What the Worker writes: its trace, and what it complains of. */
export const console = {
  ...pageConsole,
  log(line: string): void {
    if (line.startsWith(TRACE_PREFIX)) listener.onTrace(line.slice(TRACE_PREFIX.length));
    else pageConsole.log(line);
  },
};
