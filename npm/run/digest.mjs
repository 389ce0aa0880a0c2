// Whether files are what they were: one hash over their names and what is in them.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { at, has } from "./shell.mjs";

/** The hash of files and folders inside the repository; what is not there does not count. */
export function digest(paths) {
  const hash = createHash("sha256");
  for (const path of paths.flatMap(filesUnder)) hash.update(`${path}\0`).update(readFileSync(at(path)));
  return hash.digest("hex");
}

/** The files at or below a path inside the repository, in a fixed order, without what npm installed. */
export function filesUnder(path) {
  if (!has(path)) return [];
  if (!statSync(at(path)).isDirectory()) return [path];
  const inside = readdirSync(at(path)).filter((name) => name !== "node_modules");
  return inside.sort().flatMap((name) => filesUnder(`${path}/${name}`));
}
