/**
 * `mimi-hub init`: the files to start from, for the edge network and for a machine of one's own.
 */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { version } from "../../../../npm/hub/package.json";
import { configSchema } from "../../config/schema.js";
import { mustHave, requireDomain, type Command } from "../arguments.js";
import { CliError, systemCode } from "../errors.js";
import { print } from "../running.js";
import { COMPATIBILITY_DATE, OBJECTS } from "../workerd-config.js";

export const INIT: Command = {
  name: "init",
  help: `init [DIR]                 write worker.ts, wrangler.jsonc, hub.jsonc and package.json; replaces nothing
    --domain D               the provider's domain: users, rooms and other providers know it by
                             that, and it can never be changed`,
  options: { domain: { type: "string" } },
  operands: ["[DIR]"],
  async run(values, [folder = "."]) {
    const domain = requireDomain(mustHave(values, "domain"));
    await mkdir(folder, { recursive: true });
    const files = filesFor(domain);
    for (const [name, text] of Object.entries(files)) {
      await create(join(folder, name), text);
    }
    print(`${Object.keys(files).map((name) => join(folder, name)).join(", ")}: written for ${domain}`);
    print(`${domain} is for ever: users, rooms and other providers know this provider by it.`);
    print("next: npm install; npx mimi-hub dev --domain " + domain + ", or npx wrangler deploy");
    return 0;
  },
};

async function create(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { flag: "wx" });
  } catch (error) {
    if (systemCode(error) === "EEXIST") {
      throw new CliError(`${path} is there already, and is left as it is`);
    }
    throw error;
  }
}

function filesFor(domain: string): Readonly<Record<string, string>> {
  return {
    "worker.ts": WORKER,
    "wrangler.jsonc": wranglerConfig(domain),
    "hub.jsonc": hubConfig(domain),
    "hub.schema.json": `${JSON.stringify(configSchema(), undefined, 2)}\n`,
    "package.json": packageJson(domain),
    ".dev.vars.example": DEV_VARS,
  };
}

/** `hub.jsonc` is a text in the Worker, read as the command line reads it. */
const WORKER = `// @ts-expect-error: wrangler.jsonc says that it is a text.
import config from "./hub.jsonc";
import { provider } from "@mimi-edge/hub/worker";
export { ${OBJECTS.map(([className]) => className).join(", ")} } from "@mimi-edge/hub/worker";
export default provider(config);
`;

const DEV_VARS = `# For wrangler dev: the keys that \`mimi-hub keygen\` makes, as one line. Deployed, they are secrets.
HUB_KEYS={"ed25519":"…","public":"…"}
# Lets its holder ask /admin/v1; without it nobody can.
ADMIN_TOKEN=
`;

function hubConfig(domain: string): string {
  return `{
  "$schema": "./hub.schema.json",
  // Users, rooms and other providers know this provider by it: it can never be changed.
  "domain": ${JSON.stringify(domain)}
  // All other settings have a default: npx mimi-hub config print
}
`;
}

function wranglerConfig(domain: string): string {
  const bindings = OBJECTS.map(([className, name]) => `      { "name": "${name}", "class_name": "${className}" }`);
  return `{
  "$schema": "node_modules/wrangler/config-schema.json",
  "name": ${JSON.stringify(`mimi-${domain.replaceAll(".", "-")}`.slice(0, 63))},
  "main": "worker.ts",
  "compatibility_date": "${COMPATIBILITY_DATE}",
  // The domain's zone has to be in the account. Without this line the Worker is at workers.dev only.
  "routes": [{ "pattern": ${JSON.stringify(domain)}, "custom_domain": true }],
  // hub.jsonc goes into the Worker as it is.
  "rules": [{ "type": "Text", "globs": ["**/*.jsonc"], "fallthrough": true }],
  // Rooms, users and their storage. These names and migrations are never changed, only added to: a class
  // that is renamed or deleted takes everything that it stores with it.
  "durable_objects": {
    "bindings": [
${bindings.join(",\n")}
    ]
  },
  "migrations": [
    { "tag": "v1", "new_sqlite_classes": [${OBJECTS.map(([className]) => `"${className}"`).join(", ")}] }
  ],
  // Secrets, each by \`npx wrangler secret put NAME\`: HUB_KEYS (mimi-hub keygen), ADMIN_TOKEN.
  // Our certificate for other providers: \`npx wrangler mtls-certificate upload …\`, then its id here.
  // "mtls_certificates": [{ "binding": "PEER_MTLS", "certificate_id": "…" }],
  "observability": { "enabled": true }
}
`;
}

function packageJson(domain: string): string {
  const content = {
    name: `mimi-${domain.replaceAll(".", "-")}`,
    private: true,
    type: "module",
    scripts: { dev: `mimi-hub dev --domain ${domain}`, deploy: "wrangler deploy" },
    dependencies: { "@mimi-edge/hub": version },
    devDependencies: { wrangler: "^4.86.0" },
  };
  return `${JSON.stringify(content, undefined, 2)}\n`;
}
