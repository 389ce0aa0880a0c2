/** The JSON Schema of hub.jsonc, for editors. */

import { SETTINGS, type Setting } from "./settings.js";

type Schema = { [name: string]: unknown };

/** The schema, draft 2020-12. */
export function configSchema(): Schema {
  const root = section();
  root["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  root["title"] = "hub.jsonc, the configuration of a MIMI provider";
  (root["properties"] as Schema)["$schema"] = { type: "string" };
  for (const setting of SETTINGS) {
    const parts = setting.path.split(".");
    const name = parts.pop()!;
    let place = root;
    for (const part of parts) {
      const properties = place["properties"] as Schema;
      place = (properties[part] ??= section()) as Schema;
    }
    (place["properties"] as Schema)[name] = valueSchema(setting);
    if (setting.default === undefined) place["required"] = [...((place["required"] ?? []) as string[]), name];
  }
  return root;
}

function section(): Schema {
  return { type: "object", properties: {}, additionalProperties: false };
}

function valueSchema(setting: Setting): Schema {
  const { type, about, unit, default: usual, min, max, choices } = setting;
  const description = unit === undefined ? about : `${about} In ${unit}.`;
  const common = { description, ...(usual === undefined ? {} : { default: usual }) };
  switch (type) {
    case "domain": return { ...common, type: "string", format: "hostname" };
    case "text": return { ...common, type: "string" };
    case "choice": return { ...common, enum: choices };
    case "boolean": return { ...common, type: "boolean" };
    case "texts": return { ...common, type: "array", items: choices === undefined ? { type: "string" } : { enum: choices }, ...(min === undefined ? {} : { minItems: min }), ...(max === undefined ? {} : { maxItems: max }) };
    case "object": return { ...common, type: "object" };
    case "integer":
    case "number": return { ...common, type, ...(min === undefined ? {} : { minimum: min }), ...(max === undefined ? {} : { maximum: max }) };
  }
}
