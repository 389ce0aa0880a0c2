// What axe-core, a checker of accessibility, finds on a page.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Page as Tab } from "playwright-core";

interface Found { readonly violations: readonly { readonly id: string; readonly help: string; readonly nodes: readonly { readonly target: readonly unknown[] }[] }[] }

/** One line for each rule that something on the page breaks, with what breaks it. */
export async function violations(tab: Tab): Promise<readonly string[]> {
  // Frames are pages of their own.
  await tab.evaluate(await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8"));
  const { violations } = await tab.evaluate<Found>("axe.run(document, { iframes: false, resultTypes: ['violations'] })");
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
}
