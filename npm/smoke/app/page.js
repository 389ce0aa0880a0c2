// A page's part: where the provider is stands in its address, how it went in `smoke`.
import { report } from "./report.js";

export async function page(client) {
  const where = Object.fromEntries(new URLSearchParams(location.search));
  globalThis.smoke = await report(client, where);
}
