/**
 * Processes that outlive the one that started them: telling one from another that has its number
 * now, and ending them.
 */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { CliError, systemCode } from "./errors.js";

/** A process, told from all others that ever had its number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it was started, in the system's own words. */
  readonly started: string;
}

const POLL_MILLIS = 10;
const END_POLLS = 500;

/** The identity of the running process `pid`; undefined if there is none. */
export function identify(pid: number): ProcessIdentity | undefined {
  const started = process.platform === "linux" ? startOnLinux(pid) : startByPs(pid);
  return started === undefined ? undefined : { pid, started };
}

/** Whether exactly this process still runs. */
export function isRunning(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.started === identity.started;
}

/** Ends exactly this process at once and waits until it is gone. */
export async function endProcess(identity: ProcessIdentity): Promise<void> {
  for (let poll = 0; isRunning(identity); poll += 1) {
    if (poll === END_POLLS) {
      throw new CliError(`process ${identity.pid} of an earlier run does not end`);
    }
    signal(identity.pid, "SIGKILL");
    await sleep(POLL_MILLIS);
  }
}

/** Sends a signal; a process that is gone is no error. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (systemCode(error) !== "ESRCH") {
      throw error;
    }
  }
}

/** Boot and start tick (proc(5)); a zombie runs no more. */
function startOnLinux(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The name, in parentheses, may hold anything; behind it are fields 3 (state) to 22 (start).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return fields[0] === "Z" || fields[0] === "X" ? undefined : `${boot} ${fields[19]}`;
}

function startByPs(pid: number): string | undefined {
  try {
    return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}
