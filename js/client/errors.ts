/** Everything that a call of this package may fail with; stable. */
export type ErrorCode =
  | "aborted" | "closed" | "bad-argument" | "bad-uri" | "offline" | "timeout" | "rate-limited" | "unauthenticated"
  | "not-allowed" | "wrong-epoch" | "epoch-too-old" | "invalid-proposal" | "hub-unresponsive" | "room-unknown" | "user-unknown"
  | "conflict" | "diverged" | "too-large" | "no-consent" | "no-key-package" | "incompatible" | "gap" | "undecryptable"
  | "storage-locked" | "storage-full" | "storage-newer" | "storage-key" | "storage-damaged" | "wasm-load" | "wasm-blocked" | "internal";

const BRAND = "@mimi-edge/client MimiError";

/** The one error class of this package. Tell errors apart by `code`, best through {@link MimiError.is}. */
export class MimiError<C extends ErrorCode = ErrorCode> extends Error {
  /** What went wrong. */
  readonly code: C;
  /** Whether the same call may succeed later. What is refused at once, before anything was stored, is not. */
  readonly retryable: boolean;
  /** Marks the class across copies of this package and across workers. */
  readonly brand = BRAND;

  constructor(code: C, message: string, options: { readonly retryable?: boolean; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "MimiError";
    this.code = code;
    this.retryable = options.retryable ?? false;
  }

  /** Whether `error` is a MimiError with one of these codes (any code when none is given). */
  static is<C extends ErrorCode>(error: unknown, ...codes: readonly C[]): error is MimiError<C> {
    if (typeof error !== "object" || error === null || (error as { brand?: unknown }).brand !== BRAND) return false;
    return codes.length === 0 || (codes as readonly string[]).includes((error as MimiError).code);
  }
}

/** What the wasm core throws: a plain object, turned into a MimiError here. Anything else is a trap. */
export function fromCore(thrown: unknown): MimiError {
  if (MimiError.is(thrown)) return thrown;
  if (isFromCore(thrown)) return new MimiError(thrown.code, thrown.message, { retryable: thrown.retryable });
  return new MimiError("internal", "the core failed", { cause: thrown });
}

/** Whether the core returned this error. What JavaScript and WebAssembly throw is of the class Error. */
export function isFromCore(thrown: unknown): thrown is { readonly code: ErrorCode; readonly message: string; readonly retryable: boolean } {
  return typeof thrown === "object" && thrown !== null && !(thrown instanceof Error) && "code" in thrown && "message" in thrown;
}

/** A MimiError as plain data, for the way between a face and its host. */
export interface PlainError { readonly code: ErrorCode; readonly message: string; readonly retryable: boolean; readonly cause?: Error }

/** An error as plain data. Of its cause only an error is kept: structured cloning may refuse anything else. */
export function plainOf({ code, message, retryable, cause }: MimiError): PlainError {
  return { code, message, retryable, ...(cause instanceof Error ? { cause } : {}) };
}

/** The error that {@link plainOf} was given. */
export function errorOf({ code, message, ...options }: PlainError): MimiError {
  return new MimiError(code, message, options);
}

/** What a call of a client that was closed rejects with. */
export function closedError(): MimiError {
  return new MimiError("closed", "the client was closed");
}

/** What a wait that `signal` ended rejects with. */
export function abortedError({ reason }: AbortSignal): MimiError {
  return new MimiError("aborted", "the wait was aborted", { cause: reason });
}

/** Rejects when `signal` is aborted before `promise` settles. It ends the wait, not the work. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise;
  return await new Promise<T>((resolve, reject) => {
    const abort = (): void => { reject(abortedError(signal)); };
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => { signal.removeEventListener("abort", abort); });
  });
}
