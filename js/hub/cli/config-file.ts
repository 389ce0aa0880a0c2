/**
 * hub.jsonc, as the commands read it: with the environment over it, and one line for whatever is wrong.
 */

import { ConfigError, readConfig, type Configuration } from "../config/config.js";
import { CliError } from "./errors.js";
import { readIfPresent } from "./files.js";

const DEFAULT_FILE = "hub.jsonc";

/** Reads a configuration, by default ./hub.jsonc. */
export async function readConfigFile(path = DEFAULT_FILE): Promise<Configuration> {
  const text = await readIfPresent(path);
  if (text === undefined) {
    throw new CliError(`there is no ${path}: mimi-hub init writes one, --config FILE names another`);
  }
  try {
    return readConfig(text, process.env);
  } catch (error) {
    if (error instanceof ConfigError) {
      throw new CliError(`${path}: ${error.message}`);
    }
    throw error;
  }
}
