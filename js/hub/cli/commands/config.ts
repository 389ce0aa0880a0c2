/**
 * `mimi-hub config`: the settings in force, or the JSON Schema of hub.jsonc.
 */

import { SETTINGS } from "../../config/settings.js";
import { configSchema } from "../../config/schema.js";
import { textOf, usage, type Command } from "../arguments.js";
import { readConfigFile } from "../config-file.js";
import { print } from "../running.js";

export const CONFIG: Command = {
  name: "config",
  help: `config print|schema        the settings in force, each with where it is from; or the JSON Schema
    --config FILE            the configuration (default hub.jsonc)`,
  options: { config: { type: "string" } },
  operands: ["print|schema"],
  async run(values, [what]) {
    if (what === "schema") {
      print(JSON.stringify(configSchema(), undefined, 2));
      return 0;
    }
    if (what !== "print") {
      throw usage(`config takes print or schema, not "${what ?? ""}"`);
    }
    const { config, origins } = await readConfigFile(textOf(values, "config"));
    for (const { path } of SETTINGS) {
      const value = path.split(".").reduce<unknown>((section, name) => (section as Record<string, unknown>)[name], config);
      print(`${path.padEnd(32)} ${JSON.stringify(value).padEnd(24)} ${origins.get(path) ?? ""}`);
    }
    return 0;
  },
};
