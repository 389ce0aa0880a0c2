// What the inspector draws: exchanges and frames, as `mimi-hub dev --trace` tells them.

/** A request with its answer, or a frame of a socket, which has none. */
export interface Exchange {
  /** Who asks or speaks: a provider's domain or a device's URI. */
  readonly from: string;
  readonly to: string;
  /** Between providers; by a device at its provider; on a device's socket. */
  readonly via: "provider" | "client" | "socket";
  readonly method: string;
  /** Percent-decoded, with its query. */
  readonly path: string;
  /** What it is, in words. */
  readonly what: string;
  /** When it began and when it was over, in ms since 1970. */
  readonly at: number;
  readonly endedAt: number;
  /** The status of the answer; absent when there was none, and for frames. */
  readonly status?: number;
  /** What the answer says, in the draft's words. */
  readonly code?: string;
  /** The bodies. */
  readonly request: Uint8Array;
  readonly response?: Uint8Array;
}

/** One line of a trace. */
export function parseTrace(line: string): Exchange {
  const { request, response, ...rest } = JSON.parse(line) as Omit<Exchange, "request" | "response"> & { readonly request: string; readonly response?: string };
  return { ...rest, request: bytesOf(request), ...(response === undefined ? {} : { response: bytesOf(response) }) };
}

/** Reads `GET /dev/trace` of the provider at this base URL until it is told to stop. */
export function readTrace(provider: string, each: (exchange: Exchange) => void): () => void {
  const source = new EventSource(new URL("/dev/trace", provider));
  source.onmessage = ({ data }: MessageEvent<string>) => { each(parseTrace(data)); };
  return () => { source.close(); };
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
