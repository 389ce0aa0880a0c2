/**
 * The folder in which a provider keeps what must survive: its objects' databases and its hub key;
 * and the note of who runs there now, by which the next start ends a workerd that was left behind.
 */

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { CliError } from "./errors.js";
import { readIfPresent, replaceFile } from "./files.js";
import { HUB_KEYS_FILE } from "./hub-key.js";
import { PEER_KEYS_FILE } from "./peer-keys.js";
import { endProcess, identify, isRunning, type ProcessIdentity } from "./processes.js";

/** What runs on a state folder. */
interface RunningNote {
  /** The process that started workerd and holds the terminator. */
  readonly runner: ProcessIdentity;
  readonly workerd?: ProcessIdentity;
  /** The folder of the unix sockets. */
  readonly socketFolder: string;
}

const OBJECTS_FOLDER = "objects";
const CONFIG_FILE = "workerd.capnp";
const NOTE_FILE = "running.json";
/** What the folder holds of ours; nothing else is ever deleted. */
const CONTENTS = [OBJECTS_FOLDER, HUB_KEYS_FILE, PEER_KEYS_FILE, CONFIG_FILE, NOTE_FILE];

/** A state folder that this process has taken. */
export class StateFolder {
  readonly path: string;
  /** A folder with a short path, since a unix socket's is limited to about 100 bytes. */
  readonly #socketFolder: string;

  private constructor(path: string, socketFolder: string) {
    this.path = path;
    this.#socketFolder = socketFolder;
  }

  /**
   * Takes the folder: ends a workerd that an earlier run left there, and empties it if asked.
   *
   * Throws a CliError if a live process has it.
   */
  static async take(path: string, content: "keep" | "empty"): Promise<StateFolder> {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await endEarlierRun(path);
    if (content === "empty") {
      for (const name of CONTENTS) {
        await rm(join(path, name), { recursive: true, force: true });
      }
    }
    await mkdir(join(path, OBJECTS_FOLDER), { recursive: true, mode: 0o700 });
    const folder = new StateFolder(resolve(path), await mkdtemp(join(tmpdir(), "mimi-hub-")));
    await folder.note();
    return folder;
  }

  get objectsFolder(): string {
    return join(this.path, OBJECTS_FOLDER);
  }

  get hubKeysFile(): string {
    return join(this.path, HUB_KEYS_FILE);
  }

  get configFile(): string {
    return join(this.path, CONFIG_FILE);
  }

  get socketPath(): string {
    return join(this.#socketFolder, "mimi");
  }

  get adminSocketPath(): string {
    return join(this.#socketFolder, "admin");
  }

  get traceSocketPath(): string {
    return join(this.#socketFolder, "trace");
  }

  /** Notes that `workerd` runs here. */
  async note(workerd?: ProcessIdentity): Promise<void> {
    const runner = identify(process.pid);
    if (runner === undefined) {
      throw new CliError("cannot tell when this process was started");
    }
    const socketFolder = this.#socketFolder;
    const note: RunningNote = { runner, socketFolder, ...(workerd && { workerd }) };
    await replaceFile(join(this.path, NOTE_FILE), JSON.stringify(note));
  }

  /** Gives the folder back; nothing runs on it any more. */
  async release(): Promise<void> {
    await rm(this.#socketFolder, { recursive: true, force: true });
    await rm(join(this.path, NOTE_FILE), { force: true });
  }
}

async function endEarlierRun(path: string): Promise<void> {
  const text = await readIfPresent(join(path, NOTE_FILE));
  if (text === undefined) {
    return;
  }
  const note = JSON.parse(text) as RunningNote;
  if (isRunning(note.runner)) {
    throw new CliError(`${path} is in use by process ${note.runner.pid}`);
  }
  if (note.workerd !== undefined) {
    await endProcess(note.workerd);
  }
  await rm(note.socketFolder, { recursive: true, force: true });
}
