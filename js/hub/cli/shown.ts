/**
 * What an operator asked for, as JSON or as lines.
 */

import type { Values } from "./arguments.js";
import { OPERATOR_OPTIONS, operated } from "./operator.js";
import { print } from "./running.js";

/** The options of the commands that show something. */
export const SHOW_OPTIONS = { ...OPERATOR_OPTIONS, json: { type: "boolean" } } as const;

/** Prints what was asked for: as JSON, or as lines. */
export async function show(values: Values, path: string, lines: (json: never) => readonly string[]): Promise<number> {
  const json = await (await operated(values)).json("GET", path);
  if (values["json"] === true) print(JSON.stringify(json));
  else lines(json as never).forEach(print);
  return 0;
}

/** An object as the index has it; `since` in ms since 1970. */
export interface Listed { readonly name: string; readonly since: number }

export function listed(objects: readonly Listed[]): readonly string[] {
  return objects.map(({ name, since }) => `${timeOf(since)}  ${name}`);
}

export function pairs(json: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(json).map(([name, value]) => `${name.padEnd(18)} ${Array.isArray(value) ? value.join(", ") : String(value)}`);
}

export function timeOf(millis: number): string {
  return new Date(millis).toISOString();
}
