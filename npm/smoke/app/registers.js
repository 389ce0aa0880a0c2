// The page of service-worker.js.
const { serviceWorker } = navigator;
serviceWorker.addEventListener("message", ({ data }) => { globalThis.smoke = data; });
await serviceWorker.register("./service-worker.js", { type: "module" });
const { active } = await serviceWorker.ready;
active.postMessage(Object.fromEntries(new URLSearchParams(location.search)));
