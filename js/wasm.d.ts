declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}

/** The text of the worker's script; made when the package is built. */
declare module "*/worker-inline.js" {
  export const text: string;
}
