/**
 * Files that several processes may want to make at the same moment, and files with secrets.
 */

import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";

import { systemCode } from "./errors.js";

/** Readable by their owner alone. */
const SECRET_MODE = 0o600;

/**
 * The text of `path`; the first caller's `make` provides it. Whoever comes first wins, in whatever
 * process, and everybody reads the same whole file: it is linked into place, never written there.
 */
export async function readOrCreate(path: string, make: () => Promise<string>): Promise<string> {
  const existing = await readIfPresent(path);
  if (existing !== undefined) {
    return existing;
  }
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, await make(), { mode: SECRET_MODE, flag: "wx" });
  try {
    await link(draft, path);
  } catch (error) {
    if (systemCode(error) !== "EEXIST") {
      throw error;
    }
  } finally {
    await rm(draft, { force: true });
  }
  return readFile(path, "utf8");
}

/** The text of `path`, or undefined if there is no such file. */
export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") {
      return undefined;
    }
    throw error;
  }
}

/** Writes the whole file or nothing, readable by its owner alone. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, text, { mode: SECRET_MODE, flag: "wx" });
  await rename(draft, path);
}
