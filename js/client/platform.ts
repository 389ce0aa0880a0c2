import { MimiError } from "./errors.js";

/** What {@link init} takes instead of the file beside the module. */
export type WasmSource = string | URL | Request | Response | BufferSource | WebAssembly.Module | PromiseLike<Response>;

/** What differs between browsers, Node and workerd; each entry point sets it. */
export interface Platform {
  /** The wasm that belongs to this package. */
  loadWasm(): Promise<WasmSource>;
  /** Its bytes out of a JavaScript file, where the file itself may be out of reach. */
  inlineWasm?(): Promise<BufferSource>;
  /** The WebSocket class to use when the application gives none. */
  webSocket(): Promise<typeof WebSocket>;
  /** How to make workers of the package's script; absent where there are none. */
  readonly workers?: {
    /** Of its file beside this module. */
    fromFile(): Worker;
    /** Of a URL of this package's making. */
    fromUrl(url: string): Worker;
    /** The script itself, as the package has it inside. */
    text(): Promise<string>;
  };
  /** Whether there is an IndexedDB to keep state in when the application names no store. */
  readonly durable: boolean;
}

let platform: Platform | undefined;

/** Called by the entry points, once. */
export function setPlatform(chosen: Platform): void { platform = chosen; }

/** The platform. */
export function currentPlatform(): Platform {
  if (platform === undefined) throw new MimiError("wasm-load", "import the package by its name: an entry point chooses the platform");
  return platform;
}
