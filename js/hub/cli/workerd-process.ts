/**
 * One workerd process: started, watched and ended.
 */

import { spawn, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

import { CliError } from "./errors.js";

/** What starts each line that belongs to the trace. */
export const TRACE_PREFIX = "mimi-trace ";

export interface WorkerdOptions {
  readonly configFile: string;
  /** Names of the sockets that must listen before workerd counts as started. */
  readonly listeners: readonly string[];
  /** Gets each line of the trace, without its prefix. */
  readonly onTrace: (line: string) => void;
  /** Gets each other line that workerd or the Worker writes. */
  readonly onLog: (line: string) => void;
}

export interface WorkerdProcess {
  readonly pid: number;
  /** Resolves when it has ended, for whatever reason, to words for it. */
  readonly ended: Promise<string>;
  /** SIGTERM; SIGKILL if it has not drained within `graceMillis`. */
  stop(graceMillis: number): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

const { default: workerdPath } = createRequire(import.meta.url)("workerd") as { default: string };

/** Processes that must not outlive this one if it ends without stopping them. */
const running = new Set<ChildProcess>();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/** Starts workerd; `started` is told its number before it listens. */
export async function startWorkerd(
  options: WorkerdOptions,
  started: (pid: number) => Promise<void>,
): Promise<WorkerdProcess> {
  // Detached, so that the terminal's Ctrl-C does not reach it before we stop it in order.
  const child = spawn(
    workerdPath,
    ["serve", "--import-path=/", "--control-fd=3", options.configFile],
    { stdio: ["ignore", "pipe", "pipe", "pipe"], detached: true },
  );
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(`workerd cannot be started: ${error.message}`));
    child.once("close", (code, name) => resolve(`workerd ended (${name ?? `status ${code}`})`));
  });
  const lastWords = readOutput(child, options);
  const { pid } = child;
  if (pid === undefined) {
    throw new CliError(await ended);
  }
  running.add(child);
  void ended.then(() => running.delete(child));
  const workerd: WorkerdProcess = {
    pid,
    ended,
    stop: async (graceMillis) => {
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), graceMillis);
      await ended;
      clearTimeout(late);
    },
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
  try {
    await started(pid);
    const failure = await Promise.race([listening(child, options.listeners), ended]);
    if (failure !== undefined) {
      throw new CliError([failure, ...lastWords].join(": "));
    }
  } catch (error) {
    await workerd.kill();
    throw error;
  }
  return workerd;
}

/** Hands the lines on; the returned list holds the first that workerd itself complained with. */
function readOutput(child: ChildProcess, options: WorkerdOptions): string[] {
  const complaints: string[] = [];
  onLines(child.stdout, (line) => {
    if (line.startsWith(TRACE_PREFIX)) {
      options.onTrace(line.slice(TRACE_PREFIX.length));
    } else {
      options.onLog(line);
    }
  });
  onLines(child.stderr, (line) => {
    if (complaints.length === 0) {
      complaints.push(line);
    }
    options.onLog(line);
  });
  return complaints;
}

/** Resolves when workerd has said of each listener that it listens. */
function listening(child: ChildProcess, listeners: readonly string[]): Promise<undefined> {
  const awaited = new Set(listeners);
  return new Promise((resolve) => {
    onLines(child.stdio[3] as Readable, (line) => {
      const message = JSON.parse(line) as { event?: string; socket?: string };
      if (message.event === "listen" && message.socket !== undefined) {
        awaited.delete(message.socket);
      }
      if (awaited.size === 0) {
        resolve(undefined);
      }
    });
  });
}

function onLines(stream: Readable | null, each: (line: string) => void): void {
  if (stream !== null) {
    createInterface({ input: stream }).on("line", each);
  }
}
