// The hub's core, compiled once for all providers of the page.

const response = await fetch(new URL("./hub.wasm", import.meta.url));
export default await WebAssembly.compile(await response.arrayBuffer());
