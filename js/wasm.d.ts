declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}

/** What js/client/entry/wasm-inline.ts becomes, as the package's entries find it. */
declare module "*/wasm-inline.js" {
  export function wasm(): Promise<ArrayBuffer>;
}

/** The text of the worker's script; made when the package is built. */
declare module "*/worker-inline.js" {
  export const text: string;
}
