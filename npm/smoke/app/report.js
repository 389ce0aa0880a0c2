// Runs the talk and tells how it went: the result or the error, and what the console was warned of.
import { talk } from "./talk.js";

export async function report(client, where) {
  const warnings = [];
  const { warn } = console;
  console.warn = (...words) => { warnings.push(words.join(" ")); };
  try {
    // Of its own even when a bundler's server loads the page again.
    const name = `${where.name}-${crypto.randomUUID().slice(0, 8)}`;
    return { exports: Object.keys(client).sort(), ...(await talk(client, { ...where, name })), warnings };
  } catch (error) {
    return { error: { code: error?.code, message: String(error?.message ?? error) }, warnings };
  } finally {
    console.warn = warn;
  }
}
