import { MimiError } from "../errors.js";
import type { Bytes, UnixMillis } from "../message.js";

/** A request as the core makes it: `url` is a path below the provider's base URL. */
export interface CoreRequest {
  readonly id: number;
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Bytes;
  readonly timeoutMillis: number;
  readonly label: string;
}

/** An answer as the core takes it. */
export interface CoreAnswer { readonly status: number; readonly headers: readonly (readonly [string, string])[]; readonly body: Bytes }

/** One exchange of this device with its provider, for inspectors; it holds no keys and no plaintext. */
export interface Exchange {
  /** When it ended, in ms since 1970. */
  readonly at: UnixMillis;
  /** This device's address. */
  readonly from: string;
  /** The own provider's domain. */
  readonly to: string;
  readonly method: string;
  /** The path, decoded. */
  readonly path: string;
  /** What it was, in words. */
  readonly what: string;
  /** The status of the answer; absent when there was none. */
  readonly status?: number;
  /** The request's body: a struct of the protocol, or nothing. */
  readonly request: Bytes;
  /** The answer's body; absent when there was no answer. */
  readonly response?: Bytes;
}

/** Where a device is registered. */
const REGISTRATION = "/client/v1/devices";
/** Answer headers that the core looks at. */
const ANSWER_HEADERS = ["content-type", "retry-after", "www-authenticate"];
/** First and longest wait before the socket is opened again, in ms; it doubles in between. */
const FIRST_WAIT_MILLIS = 250;
const LONGEST_WAIT_MILLIS = 30_000;
/** After this time, in ms, a socket that has caught up counts as good: the next wait is short again. */
const STEADY_MILLIS = 5_000;
/** Largest answer and frame, in bytes: more than the largest message of the protocol. */
const MOST_BYTES = 16 << 20;

/** Moves bytes between the core and the own provider. */
export class Transport {
  readonly #base: string;
  readonly #fetch: typeof fetch;
  /** Of the provider's accounts: it goes with the device's registration. */
  readonly #token: string | undefined;
  /** Called for each exchange, while somebody wants to know. */
  trace: ((exchange: Omit<Exchange, "from" | "to">) => void) | undefined;

  constructor(provider: string | URL, fetcher: typeof fetch | undefined, token?: string) {
    this.#base = baseOf(provider);
    this.#token = token;
    this.#fetch = fetcher ?? ((input, options) => fetch(input, options));
  }

  /** Sends a request; `undefined` when there is no answer in time. */
  async send(request: CoreRequest, signal: AbortSignal): Promise<CoreAnswer | undefined> {
    const answer = await this.#attempt(request, signal).catch(() => undefined);
    this.trace?.({
      at: Date.now(),
      method: request.method,
      path: decodeURIComponent(request.url),
      what: request.label,
      request: request.body,
      ...(answer === undefined ? {} : { status: answer.status, response: answer.body }),
    });
    return answer;
  }

  async #attempt(request: CoreRequest, signal: AbortSignal): Promise<CoreAnswer> {
    const response = await this.#fetch(this.#base + request.url, {
      method: request.method,
      headers: [...request.headers.map(([name, value]): [string, string] => [name, value]), ...this.#proofFor(request)],
      body: request.method === "GET" ? null : request.body,
      signal: AbortSignal.any([signal, AbortSignal.timeout(request.timeoutMillis)]),
    });
    const headers = ANSWER_HEADERS.flatMap((name): [string, string][] => {
      const value = response.headers.get(name);
      return value === null ? [] : [[name, value]];
    });
    return { status: response.status, headers, body: await bodyOf(response) };
  }

  #proofFor({ method, url }: CoreRequest): [string, string][] {
    return this.#token !== undefined && method === "POST" && url === REGISTRATION ? [["authorization", `Bearer ${this.#token}`]] : [];
  }

  /** The socket's URL for this path. */
  socketUrl(path: string): string {
    return this.#base.replace(/^http/, "ws") + path;
  }
}

/** The body, unless it is too large: then nothing more of it is read. */
async function bodyOf(response: Response): Promise<Bytes> {
  const reader = response.body?.getReader();
  if (reader === undefined) return new Uint8Array();
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
    if (length > MOST_BYTES) {
      await reader.cancel();
      throw new MimiError("too-large", "the provider's answer is too large");
    }
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return body;
}

function baseOf(provider: string | URL): string {
  let url: URL;
  try {
    url = new URL(provider);
  } catch (error) {
    throw new MimiError("bad-argument", "provider is no URL", { cause: error });
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") throw new MimiError("bad-argument", "provider is no http(s) URL");
  return url.href.replace(/\/+$/, "");
}

/** What a {@link Socket} tells its owner. */
export interface SocketOwner {
  /** It is being opened, for the first time or again. */
  opening(): void;
  /** The first frame, made when the socket is open. */
  hello(): Promise<Uint8Array>;
  frame(frame: Uint8Array): void;
  /** It is closed, with this code if it was open, and will be opened again. */
  closed(retryAt: number, code: number | undefined): void;
}

/** One WebSocket to the own provider, opened again whenever it closes. */
export class Socket {
  readonly #url: string;
  readonly #class: typeof WebSocket;
  readonly #owner: SocketOwner;
  #socket: WebSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wait = FIRST_WAIT_MILLIS;
  #greeted = false;
  #steadySince: number | undefined;
  #stopped = false;

  constructor(url: string, socketClass: typeof WebSocket, owner: SocketOwner) {
    this.#url = url;
    this.#class = socketClass;
    this.#owner = owner;
    this.#open();
  }

  /** Sends a frame if the hello is out; else it is lost, and the next hello makes up for it. */
  send(frame: Uint8Array): void {
    if (this.#greeted && this.#socket?.readyState === 1) this.#socket.send(frame as Uint8Array<ArrayBuffer>);
  }

  /** The provider answered. */
  steady(): void { this.#steadySince ??= Date.now(); }

  /** If it waits to be opened again, it waits no more. */
  now(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#wait = FIRST_WAIT_MILLIS;
    this.#open();
  }

  /** Closes the socket for good. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#socket?.close(1000);
  }

  #open(): void {
    this.#timer = undefined;
    this.#greeted = false;
    this.#steadySince = undefined;
    this.#owner.opening();
    let socket: WebSocket;
    try {
      socket = new this.#class(this.#url);
    } catch {
      // A page's Content Security Policy may forbid it.
      this.#again();
      return;
    }
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#owner.hello().then((frame) => {
        if (socket !== this.#socket) return;
        this.#greeted = true;
        this.send(frame);
      }, () => { socket.close(); });
    };
    socket.onmessage = ({ data }: MessageEvent) => {
      if (!(data instanceof ArrayBuffer) || socket !== this.#socket || this.#stopped) return;
      if (data.byteLength > MOST_BYTES) socket.close();
      else this.#owner.frame(new Uint8Array(data));
    };
    // A close event follows each error.
    socket.onerror = () => undefined;
    socket.onclose = ({ code }: CloseEvent) => { if (!this.#stopped && socket === this.#socket) this.#again(code); };
  }

  #again(code?: number): void {
    // A provider that closes as soon as it has said all is not asked at once for ever.
    if (this.#steadySince !== undefined && Date.now() - this.#steadySince >= STEADY_MILLIS) this.#wait = FIRST_WAIT_MILLIS;
    const wait = this.#wait * (0.5 + Math.random() / 2);
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT_MILLIS);
    this.#timer = setTimeout(() => { this.#open(); }, wait);
    this.#owner.closed(Date.now() + wait, code);
  }
}
