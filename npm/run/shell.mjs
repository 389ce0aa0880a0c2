// Running other programs, and where things are. Imports only node: modules, so that the commands
// work before anything is installed.
import { spawn } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's folder. */
export const root = fileURLToPath(new URL("../../", import.meta.url));

/** A path inside the repository. */
export const at = (...parts) => join(root, ...parts);

/** Cargo's target folder, ours or the one that the caller chose. */
export const cargoTarget = resolve(root, process.env.CARGO_TARGET_DIR || "target");

/** Something that the user has to do; its message is one line and all that is printed. */
export class SetupError extends Error {}

/** One line of progress. */
export function say(line) {
  process.stderr.write(`${line}\n`);
}

/**
 * Runs a program in the repository's folder and resolves to its exit code and what it printed.
 * `show`: "all" passes both streams on while they come, "errors" only standard error, "nothing".
 * After `limitMinutes` it is ended, and has failed.
 */
export function run(command, args, { env = {}, cwd = root, show = "all", limitMinutes = Infinity } = {}) {
  return new Promise((done) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
      if (show === "all") process.stdout.write(text);
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      stderr += text;
      if (show !== "nothing") process.stderr.write(text);
    });
    const end = endAfter(limitMinutes, child, command, () => done({ code: 1, stdout, stderr }));
    child.on("error", (error) => done({ code: 127, stdout, stderr: stderr + error.message }));
    child.on("close", (code) => {
      end.clear();
      done({ code: code ?? 1, stdout, stderr });
    });
  });
}

/** Between being asked to end and being ended. */
const GRACE_MILLIS = 10_000;

/** Ends a program that takes too long, and does not wait for what it has started. */
function endAfter(minutes, child, name, ended) {
  if (minutes === Infinity) return { clear: () => undefined };
  let timer = setTimeout(() => {
    say(`${name} is ended: it took longer than ${minutes} minutes`);
    child.kill("SIGTERM");
    timer = setTimeout(() => {
      child.kill("SIGKILL");
      child.stdout.destroy();
      child.stderr.destroy();
      ended();
    }, GRACE_MILLIS);
  }, minutes * 60_000);
  return { clear: () => clearTimeout(timer) };
}

/** As `run`, for a program that has to succeed. */
export async function must(command, args, options) {
  const result = await run(command, args, options);
  if (result.code !== 0) {
    throw new Error(`${command} ${args.join(" ")} ended with ${result.code}\n${result.stderr}`);
  }
  return result;
}

/** The first of `names` that is an executable in PATH, as a path; undefined if none is. */
export function inPath(...names) {
  for (const name of names) {
    for (const folder of (process.env.PATH ?? "").split(delimiter)) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // not there: the next one
      }
    }
  }
  return undefined;
}

/** Puts a folder at the front of PATH, for every program started from here on. */
export function prependPath(folder) {
  process.env.PATH = `${folder}${delimiter}${process.env.PATH ?? ""}`;
}

/** Whether the repository has this file or folder. */
export const has = (...parts) => existsSync(at(...parts));

/** Runs a command's main function; a SetupError is one line, anything else comes with its stack. */
export async function command(main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    say(error instanceof SetupError ? `mimi-edge: ${error.message}` : String(error?.stack ?? error));
    process.exitCode = 1;
  }
}
