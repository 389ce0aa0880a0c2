/**
 * Loopback ports.
 */

import { randomInt } from "node:crypto";
import { createServer, type Server } from "node:net";

import { CliError, systemCode } from "./errors.js";

/** Everything that `dev` opens is reachable from this machine alone. */
export const LOOPBACK = "127.0.0.1";

/** Below the ports that systems hand out by themselves for outgoing connections. */
const LOWEST = 20_000;
const HIGHEST = 32_000;
const TRIES = 200;

/** An even port that is free now together with the next one. */
export async function freePortPair(): Promise<number> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const port = 2 * randomInt(LOWEST / 2, HIGHEST / 2);
    if ((await isFree(port)) && (await isFree(port + 1))) {
      return port;
    }
  }
  throw new CliError(`no two neighbouring free ports between ${LOWEST} and ${HIGHEST}`);
}

/** Throws a CliError if somebody listens on `port`. */
export async function requireFree(port: number): Promise<void> {
  if (!(await isFree(port))) {
    throw new CliError(`port ${port} is in use`);
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await listen(server, port);
  } catch (error) {
    if (systemCode(error) === "EADDRINUSE") {
      return false;
    }
    throw error;
  }
  await new Promise((resolve) => server.close(resolve));
  return true;
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host: LOOPBACK, exclusive: true }, resolve);
  });
}
