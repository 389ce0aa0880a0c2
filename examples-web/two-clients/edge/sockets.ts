// Stands in for WebSocketPair: two ends without a network, and the page's end as its WebSocket.

/** What an end tells whoever holds it. */
export interface SocketHolder {
  message(data: ArrayBuffer | string): void;
  closed(code: number): void;
}

/** One end of a socket, as much of it as the hub uses. */
export class SocketEnd {
  #other: SocketEnd | undefined;
  #holder: SocketHolder | undefined;
  readonly #waiting: ((holder: SocketHolder) => void)[] = [];
  #attachment: unknown;
  isOpen = true;

  static pair(): { 0: SocketEnd; 1: SocketEnd } {
    const [one, other] = [new SocketEnd(), new SocketEnd()];
    one.#other = other;
    other.#other = one;
    return { 0: one, 1: other };
  }

  /** From now on somebody listens; what came before is told first. */
  hold(holder: SocketHolder): void {
    this.#holder = holder;
    for (const tell of this.#waiting.splice(0)) queueMicrotask(() => { tell(holder); });
  }

  send(data: Uint8Array | ArrayBuffer | string): void {
    if (!this.isOpen) throw new TypeError("the socket is closed");
    const copy = typeof data === "string" ? data : (new Uint8Array(data).slice().buffer as ArrayBuffer);
    this.#tellOther((holder) => { holder.message(copy); });
  }

  close(code = 1005): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#tellOther((holder, other) => {
      if (!other.isOpen) return;
      other.isOpen = false;
      holder.closed(code);
    });
  }

  serializeAttachment(value: unknown): void { this.#attachment = structuredClone(value); }
  deserializeAttachment(): unknown { return structuredClone(this.#attachment); }

  /** In order, and never while this side still works. */
  #tellOther(tell: (holder: SocketHolder, other: SocketEnd) => void): void {
    const other = this.#other;
    if (other === undefined) return;
    const tellHolder = (holder: SocketHolder): void => { tell(holder, other); };
    const holder = other.#holder;
    if (holder === undefined) other.#waiting.push(tellHolder);
    else queueMicrotask(() => { tellHolder(holder); });
  }
}

/** As the runtime's constructor: the client's end first. */
export function WebSocketPair(): { 0: SocketEnd; 1: SocketEnd } {
  return SocketEnd.pair();
}

/** A WebSocket class for a page; `connect` opens the way for a URL, or refuses it. */
export function webSocketClass(connect: (url: string) => Promise<SocketEnd>): typeof WebSocket {
  class PageSocket {
    binaryType = "arraybuffer";
    readyState = 0;
    onopen: (() => void) | null = null;
    onmessage: ((event: { data: ArrayBuffer | string }) => void) | null = null;
    onerror: (() => void) | null = null;
    onclose: ((event: { code: number }) => void) | null = null;
    #end: SocketEnd | undefined;

    constructor(url: string | URL) {
      void connect(String(url)).then((end) => { this.#opened(end); }, () => {
        this.onerror?.();
        this.#closed(1006);
      });
    }

    send(data: Uint8Array): void { this.#end?.send(data); }

    close(code?: number): void {
      this.#end?.close(code);
      this.#closed(code ?? 1005);
    }

    #opened(end: SocketEnd): void {
      if (this.readyState !== 0) { end.close(); return; }
      this.#end = end;
      this.readyState = 1;
      this.onopen?.();
      end.hold({ message: (data) => { if (this.readyState === 1) this.onmessage?.({ data }); }, closed: (code) => { this.#closed(code); } });
    }

    #closed(code: number): void {
      if (this.readyState === 3) return;
      this.readyState = 3;
      this.onclose?.({ code });
    }
  }
  return PageSocket as unknown as typeof WebSocket;
}
