import { initSync } from "#wasm/client";
import { MimiError } from "./errors.js";
import { currentPlatform, type WasmSource } from "./platform.js";

/** "\0asm", the first bytes of every wasm file. */
const MAGIC = [0x00, 0x61, 0x73, 0x6d];

let loaded: Promise<WebAssembly.Module> | undefined;

/**
 * Loads the wasm core. Idempotent and optional: `Client.open` calls it. Without a source it loads
 * the file beside the module. Rejects with `wasm-load`, or `wasm-blocked` when the page's Content
 * Security Policy forbids WebAssembly.
 */
export async function init(source?: WasmSource): Promise<void> {
  initSync({ module: await loadModule(source) });
}

/** The compiled core, for this thread or a worker. Rejects as {@link init}. */
export async function loadModule(source?: WasmSource): Promise<WebAssembly.Module> {
  loaded ??= load(source).catch((error: unknown) => {
    loaded = undefined;
    throw MimiError.is(error) ? error : new MimiError("wasm-load", "the wasm could not be loaded", { cause: error });
  });
  return await loaded;
}

async function load(source: WasmSource | undefined): Promise<WebAssembly.Module> {
  const found = await (source ?? (await currentPlatform().loadWasm()));
  return isModule(found) ? found : await compile(await bytesOf(found as Source));
}

// The type of a module is an empty interface: TypeScript cannot tell it from anything else by itself.
type Source = string | URL | Request | Response | BufferSource;

function isModule(found: Source | WebAssembly.Module): found is WebAssembly.Module {
  return (found as object) instanceof WebAssembly.Module;
}

async function bytesOf(source: Source): Promise<BufferSource> {
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return source;
  try {
    const response = source instanceof Response ? source : await fetch(source);
    if (!response.ok) throw new MimiError("wasm-load", `the wasm file was answered with ${String(response.status)}`);
    return await response.arrayBuffer();
  } catch (error) {
    if (MimiError.is(error)) throw error;
    throw new MimiError("wasm-load", "the wasm file could not be fetched", { retryable: true, cause: error });
  }
}

async function compile(bytes: BufferSource): Promise<WebAssembly.Module> {
  const view = ArrayBuffer.isView(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : new Uint8Array(bytes);
  if (MAGIC.some((byte, index) => view[index] !== byte)) {
    throw new MimiError("wasm-load", "what was loaded is no wasm: does the server answer its address with a page?");
  }
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    if (String(error).includes("Content Security Policy")) {
      throw new MimiError("wasm-blocked", "the page's Content Security Policy needs 'wasm-unsafe-eval' in script-src", { cause: error });
    }
    throw new MimiError("wasm-load", "the wasm does not compile", { cause: error });
  }
}
