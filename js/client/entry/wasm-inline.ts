// The wasm in a JavaScript file: for where the file itself cannot be had.

/** The wasm file, compressed by gzip, in base64; the build puts it here. */
declare const WASM_GZIP_BASE64: string;

/** The wasm's bytes. */
export async function wasm(): Promise<ArrayBuffer> {
  const bytes = Uint8Array.from(atob(WASM_GZIP_BASE64), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return await new Response(stream).arrayBuffer();
}
