// A service worker may not import() and has no import map.
import * as client from "./node_modules/@mimi-edge/client/inline.js";
import { report } from "./report.js";

addEventListener("activate", (event) => { event.waitUntil(clients.claim()); });
addEventListener("message", (event) => {
  event.waitUntil(report(client, event.data).then((smoke) => event.source.postMessage(smoke)));
});
