// The client's public surface: `node main.mjs check|renew|docs OUT`, on what is built. `check` compares it with the
// reports in npm/client/api and compiles consumer.ts under the oldest and the newest TypeScript that the
// package supports; `renew` writes the reports; `docs` writes the reference into OUT.
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Extractor, ExtractorConfig, ExtractorLogLevel } from "@microsoft/api-extractor";
import { Application } from "typedoc";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));
const ROOT = resolve(FOLDER, "../..");
const BUILT = join(ROOT, "build/client");
const REPORTS = join(ROOT, "npm/client/api");
const SCRATCH = join(ROOT, "build/api");
/** Entries with declarations of their own. */
const ENTRIES = ["index", "low"];
const COMPILERS = { oldest: "typescript-oldest", newest: "typescript-newest" };
const RESOLUTIONS = [["node16", "node16"], ["esnext", "bundler"]];

const require = createRequire(import.meta.url);

/** One entry's report. Resolves to whether it is up to date. */
function report(entry, renew) {
  const level = (logLevel) => ({ logLevel });
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: BUILT,
      mainEntryPointFilePath: `<projectFolder>/${entry}.d.ts`,
      newlineKind: "lf",
      apiReport: { enabled: true, reportFolder: REPORTS, reportFileName: `${entry}.api.md`, reportTempFolder: SCRATCH },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      compiler: {
        overrideTsconfig: {
          compilerOptions: { target: "ES2022", lib: ["ES2022", "ESNext.Disposable", "DOM"], module: "ESNext", moduleResolution: "bundler", strict: true, types: [] },
          files: [join(BUILT, `${entry}.d.ts`)],
        },
      },
      messages: {
        extractorMessageReporting: {
          default: level(ExtractorLogLevel.Error),
          // All that is exported is public.
          "ae-missing-release-tag": level(ExtractorLogLevel.None),
          // typedoc checks links, and that what is no plain property is documented.
          "ae-unresolved-link": level(ExtractorLogLevel.None),
          "ae-undocumented": level(ExtractorLogLevel.None),
        },
        tsdocMessageReporting: { default: level(ExtractorLogLevel.Error) },
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(BUILT, "package.json"),
  });
  const { succeeded, apiReportChanged } = Extractor.invoke(config, {
    localBuild: renew,
    messageCallback(message) {
      message.handled = true;
      if (message.logLevel === "error" || message.logLevel === "warning") console.error(message.formatMessageWithLocation(ROOT));
    },
  });
  if (apiReportChanged && !renew) console.error(`${entry}: the public surface is another one than npm/client/api/${entry}.api.md says; \`npm run api\` renews it`);
  return succeeded;
}

/** Compiles consumer.ts with each compiler and resolution. */
function consumers() {
  let fine = true;
  for (const [age, name] of Object.entries(COMPILERS)) {
    const { bin } = require(`${name}/package.json`);
    const tsc = join(FOLDER, "node_modules", name, bin.tsc);
    for (const [module, resolution] of RESOLUTIONS) {
      const project = join(SCRATCH, `tsconfig.${age}.${resolution}.json`);
      const compilerOptions = {
        noEmit: true, strict: true, skipLibCheck: false, target: "es2022", lib: ["es2022", "dom"], types: [], module, moduleResolution: resolution,
      };
      writeFileSync(project, JSON.stringify({ compilerOptions, files: [join(FOLDER, "consumer.ts")] }));
      const { status, stdout } = spawnSync(process.execPath, [tsc, "-p", project], { encoding: "utf8" });
      if (status === 0) continue;
      fine = false;
      console.error(`the ${age} TypeScript, ${resolution}:\n${stdout}`);
    }
  }
  return fine;
}

/** The reference by typedoc, or only its checks when there is no folder for it. */
async function docs(out) {
  const app = await Application.bootstrap({
    entryPoints: [join(ROOT, "js/client/index.ts"), join(ROOT, "js/client/low.ts")],
    tsconfig: join(ROOT, "tsconfig.client.json"),
    name: "@mimi-edge/client",
    readme: "none",
    excludeInternal: true,
    excludePrivate: true,
    disableSources: true,
    treatWarningsAsErrors: true,
    treatValidationWarningsAsErrors: true,
    validation: { notExported: true, invalidLink: true, rewrittenLink: true, notDocumented: true },
    requiredToBeDocumented: ["Class", "Interface", "TypeAlias", "Function", "Method", "Accessor", "Variable"],
    logLevel: "Warn",
  });
  const project = await app.convert();
  if (project === undefined) return false;
  app.validate(project);
  if (app.logger.hasErrors() || app.logger.hasWarnings()) return false;
  if (out !== undefined) await app.generateDocs(project, out);
  return !app.logger.hasErrors() && !app.logger.hasWarnings();
}

const [what, out] = process.argv.slice(2);
if (what === "docs") {
  process.exitCode = (await docs(out)) ? 0 : 1;
} else {
  for (const folder of [SCRATCH, REPORTS]) mkdirSync(folder, { recursive: true });
  const reports = ENTRIES.map((entry) => report(entry, what === "renew"));
  const checks = what === "renew" ? [] : [consumers(), await docs()];
  process.exitCode = [...reports, ...checks].every(Boolean) ? 0 : 1;
}
