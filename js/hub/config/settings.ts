/**
 * The table of all settings. Names, defaults, units and ranges are in settings.json and nowhere else;
 * what is made of them here has one row's shape.
 */

import table from "./settings.json";

/** A setting: one row of the table. */
export interface Setting {
  /** Its place in hub.jsonc, sections and name with dots between: `limits.bodyBytes`. */
  readonly path: string;
  readonly type: "domain" | "text" | "choice" | "boolean" | "integer" | "number" | "texts" | "object";
  /** Of a choice, or of texts: the words. */
  readonly choices?: readonly string[];
  /** The value when hub.jsonc has none; a setting without a default has to be there. */
  readonly default?: Value;
  readonly unit?: string;
  /** The smallest and the largest number, or length of a list. */
  readonly min?: number;
  readonly max?: number;
  /** What it decides, in sentences for operators. */
  readonly about: string;
}

/** A value as JSON has it. */
export type Value = string | number | boolean | null | readonly Value[] | { readonly [name: string]: Value };

export const SETTINGS = table as readonly Setting[];

/** What starts the name of an environment variable that overrides a setting. */
const VARIABLE_PREFIX = "MIMI_HUB__";

/** The environment variable of a setting: `limits.bodyBytes` is MIMI_HUB__LIMITS__BODY_BYTES. */
export function variableOf({ path }: Setting): string {
  const words = path.split(".").map((part) => part.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase());
  return VARIABLE_PREFIX + words.join("__");
}

/** Whether an environment variable wants to be one of ours. */
export function isVariable(name: string): boolean {
  return name.startsWith(VARIABLE_PREFIX);
}

const DOMAIN = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** Whether a text is a domain in lower case (D15). */
export function isDomain(text: string): boolean {
  return DOMAIN.test(text);
}

/** What is wrong with a setting's value, in words that follow its name; undefined when nothing is. */
export function faultOf(setting: Setting, value: Value): string | undefined {
  const given = JSON.stringify(value);
  switch (setting.type) {
    case "domain":
      return typeof value === "string" && isDomain(value) ? undefined : `is a domain in lower case, such as alpha.example, not ${given}`;
    case "text":
      return typeof value === "string" ? undefined : `is a text, not ${given}`;
    case "choice":
      return setting.choices?.some((choice) => choice === value) ? undefined : `is ${(setting.choices ?? []).join(" or ")}, not ${given}`;
    case "boolean":
      return typeof value === "boolean" ? undefined : `is true or false, not ${given}`;
    case "texts":
      if (setting.choices !== undefined && Array.isArray(value) && !value.every((item) => setting.choices?.some((choice) => choice === item))) return `is a list of ${setting.choices.join(" and ")}, not ${given}`;
      return Array.isArray(value) && value.every((item) => typeof item === "string") ? faultOfSize(setting, value.length, `${String(value.length)} of them`) : `is a list of texts, not ${given}`;
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value) ? undefined : `is an object, not ${given}`;
    case "integer":
    case "number":
      if (typeof value !== "number" || (setting.type === "integer" && !Number.isSafeInteger(value))) return `is ${setting.type === "integer" ? "a whole number" : "a number"}, not ${given}`;
      return faultOfSize(setting, value, given);
  }
}

function faultOfSize({ min = -Infinity, max = Infinity, unit }: Setting, size: number, given: string): string | undefined {
  if (size >= min && size <= max) return undefined;
  const range = max === Infinity ? `at least ${String(min)}` : `from ${String(min)} to ${String(max)}`;
  return `is ${range}${unit === undefined ? "" : ` ${unit}`}, not ${given}`;
}
