/**
 * `GET /dev/trace`: what a provider in development exchanges, as it happens, for inspectors.
 *
 * An event stream (HTML, "Server-sent events") with one message per line of the Worker's trace
 * (trace.ts): a JSON object with the bodies in base64. Pages on loopback alone may read it. It
 * listens on a unix socket, to which the gate of the clients' listener leads; a provider that does
 * not trace has neither.
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

export interface TraceStream {
  /** Sends a line to everybody who listens. */
  publish(line: string): void;
  /** Ends all streams: they would keep workerd from draining. */
  close(): Promise<void>;
}

/** Listens for readers of the trace. */
export async function startTraceStream(socketPath: string): Promise<TraceStream> {
  const readers = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    if (!isAllowed(request)) {
      response.writeHead(403).end();
      return;
    }
    const { origin } = request.headers;
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      ...(origin !== undefined && { "access-control-allow-origin": origin, vary: "origin" }),
    });
    // The first bytes tell the page that it is connected.
    response.write(":\n\n");
    readers.add(response);
    response.on("close", () => readers.delete(response));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(socketPath, resolve);
  });
  return {
    publish: (line) => readers.forEach((reader) => reader.write(`data: ${line}\n\n`)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A name that somebody else let point to this machine is no name of ours, and no page of theirs reads here. */
function isAllowed({ headers }: IncomingMessage): boolean {
  const { host, origin } = headers;
  return isLoopback(`http://${host}`) && (origin === undefined || isLoopback(origin));
}

function isLoopback(url: string): boolean {
  return URL.canParse(url) && ["localhost", "127.0.0.1", "[::1]"].includes(new URL(url).hostname);
}
