import { initSync } from "#wasm/client";
import { MimiError } from "./errors.js";
import { currentPlatform, type WasmSource } from "./platform.js";

/** "\0asm", the first bytes of every wasm file. */
const MAGIC = [0x00, 0x61, 0x73, 0x6d];
const WASM_TYPE = "application/wasm";
/** What browsers say when a page's policy forbids WebAssembly: no error has a name for it. */
const BLOCKED = /content security policy|\bCSP\b/i;

let loaded: Promise<WebAssembly.Module> | undefined;

/**
 * Loads the wasm core. Idempotent and optional: `Client.open` calls it. Without a source it loads the file beside the
 * module, and where that cannot be had, a copy inside a JavaScript file, with a warning on the console. The
 * entry `@mimi-edge/client/slim` has neither: there a source must be given.
 *
 * Rejects with `wasm-load`, or `wasm-blocked` when the page's Content Security Policy forbids WebAssembly.
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
  if (source !== undefined) return await compileFrom(await source);
  const { loadWasm, inlineWasm } = currentPlatform();
  try {
    return await compileFrom(await loadWasm());
  } catch (error) {
    // What the policy forbids it forbids for every copy.
    if (inlineWasm === undefined || MimiError.is(error, "wasm-blocked")) throw error;
    const copy = await inlineWasm().catch(() => { throw error; });
    console.warn(
      `@mimi-edge/client: ${error instanceof Error ? error.message : "its wasm file is not there"}. Its larger copy in JavaScript is used; `
        + "serve client.wasm beside the script, as application/wasm, or hand it over: init(source).",
    );
    return await compile(copy);
  }
}

// The type of a module is an empty interface: TypeScript cannot tell it from anything else by itself.
type Source = string | URL | Request | Response | BufferSource;

function isModule(found: Source | WebAssembly.Module): found is WebAssembly.Module {
  return Object.prototype.toString.call(found) === "[object WebAssembly.Module]";
}

async function compileFrom(found: Source | WebAssembly.Module): Promise<WebAssembly.Module> {
  if (isModule(found)) return found;
  const source = found as Source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return await compile(source);
  const response = source instanceof Response ? source : await fetched(fetch(source));
  if (!response.ok) throw new MimiError("wasm-load", `the wasm file was answered with ${String(response.status)}`);
  const type = response.headers.get("content-type") ?? "";
  // Compiling while it comes demands the type of the answer, and the type promises that it is wasm.
  if (type.startsWith(WASM_TYPE) && typeof WebAssembly.compileStreaming === "function") {
    return await explained(WebAssembly.compileStreaming(response));
  }
  return await compile(await fetched(response.arrayBuffer()));
}

async function fetched<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw new MimiError("wasm-load", "the wasm file could not be fetched", { retryable: true, cause: error });
  }
}

async function compile(bytes: BufferSource): Promise<WebAssembly.Module> {
  const view = ArrayBuffer.isView(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : new Uint8Array(bytes);
  // A status of 200 proves nothing: many hosts answer an address that they do not know with their page.
  if (MAGIC.some((byte, index) => view[index] !== byte)) {
    throw new MimiError("wasm-load", "what was loaded is no wasm: does the server answer its address with a page?");
  }
  return await explained(WebAssembly.compile(bytes));
}

async function explained(compiling: Promise<WebAssembly.Module>): Promise<WebAssembly.Module> {
  try {
    return await compiling;
  } catch (error) {
    if (BLOCKED.test(String(error))) {
      throw new MimiError("wasm-blocked", "the page's Content Security Policy needs 'wasm-unsafe-eval' in script-src", { cause: error });
    }
    throw new MimiError("wasm-load", "the wasm does not compile", { cause: error });
  }
}
