/**
 * What the tests of the command line and of mutual TLS share.
 */

import { spawn, type ChildProcessByStdio } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Readable } from "node:stream";
import { after } from "node:test";

import { build } from "esbuild";

import type { CertifiedKey } from "../../js/hub/cli/certificates.js";
import {
  startProvider,
  type Provider,
  type ProviderOptions,
} from "../../js/hub/cli/provider-process.js";

/** What the stub Worker says that it saw. */
export interface Seen {
  readonly listener: string;
  readonly tlsClientAuth?: Record<string, unknown>;
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly sha256: string;
  readonly env: { HUB_KEYS: string; TRACE?: string };
  readonly settings: { domain: string; consent: string; unknownUsers: string };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Sending {
  readonly method?: string;
  readonly headers?: Record<string, string | string[]>;
  /** A list is sent in as many chunks, without a length in front. */
  readonly body?: Buffer | readonly Buffer[];
  /** The certificate to show. */
  readonly as?: CertifiedKey;
  /** The CA that the answering side must be of. */
  readonly trust?: string;
}

/** A folder for this test file: in memory where there is such a thing, gone afterwards. */
export const folder = mkdtempSync(
  join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "mimi-test-"),
);
after(() => rmSync(folder, { recursive: true, force: true }));

const stopping: (() => Promise<void>)[] = [];
after(async () => {
  await Promise.all(stopping.map((stop) => stop()));
});

/** Builds the stub Worker and returns its path. */
export async function buildStub(path = join(folder, "stub", "worker.js")): Promise<string> {
  await build({
    entryPoints: ["tests/worker/cli-stub.ts"],
    outfile: path,
    bundle: true,
    format: "esm",
    logLevel: "warning",
  });
  return resolve(path);
}

/** Starts a provider that ends with the test file at the latest. */
export async function provider(
  options: Partial<ProviderOptions> & Pick<ProviderOptions, "domain" | "worker">,
): Promise<Provider> {
  const started = await startProvider({
    port: 0,
    peers: [],
    caDir: join(folder, "ca"),
    stateDir: join(folder, options.domain),
    onLog: () => {},
    ...options,
  });
  stopping.push(() => started.kill9());
  return started;
}

/** Sends a request to `path` exactly as it stands, with `host` as Host and SNI. */
export function send(
  base: string,
  host: string,
  path: string,
  sending: Sending = {},
): Promise<Answer> {
  const { protocol, hostname, port } = new URL(base);
  const request = protocol === "https:" ? httpsRequest : httpRequest;
  const { as, trust, body = [], method = "POST" } = sending;
  return new Promise((done, failed) => {
    const outgoing = request(
      {
        hostname,
        port,
        path,
        method,
        headers: { host, ...sending.headers },
        servername: host,
        ...(as && { key: as.privateKey, cert: as.certificate }),
        ...(trust === undefined ? { rejectUnauthorized: false } : { ca: trust }),
        agent: false,
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("error", failed);
        answer.on("end", () => {
          const { statusCode: status = 0, headers } = answer;
          done({ status, headers, body: Buffer.concat(chunks) });
        });
      },
    );
    outgoing.on("error", failed);
    if (Buffer.isBuffer(body)) {
      outgoing.setHeader("content-length", body.length);
      outgoing.end(body);
    } else {
      body.forEach((chunk) => outgoing.write(chunk));
      outgoing.end();
    }
  });
}

/** Has the stub Worker say what it sees of a request. */
export async function echo(
  base: string,
  host: string,
  path: string,
  sending: Sending = {},
): Promise<Seen> {
  const { status, body } = await send(base, host, path, sending);
  if (status !== 200) {
    throw new Error(`${path} was answered with ${status}`);
  }
  return JSON.parse(body.toString("utf8")) as Seen;
}

/** How often the provider has been asked this since its state began, this time included. */
export async function count(clientUrl: string): Promise<number> {
  const answer = await fetch(`${clientUrl}/count`, { method: "POST" });
  return (await answer.json()) as number;
}

/** A run of the command line. */
export interface Run {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  /** Resolves to what it printed so far as soon as that matches; rejects if it ends before. */
  printed(pattern: RegExp): Promise<string>;
  /** Resolves when it has ended. */
  readonly ended: Promise<{ status: number | null; stdout: string; stderr: string }>;
}

/** Runs the built command line. */
export function mimiHub(program: string, ...args: readonly string[]): Run {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    cwd: folder,
  });
  let stdout = "";
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  const ended = new Promise<{ status: number | null; stdout: string; stderr: string }>((done) => {
    child.on("close", (status) => done({ status, stdout, stderr }));
  });
  const printed = (pattern: RegExp): Promise<string> =>
    new Promise((done, failed) => {
      const look = (): void => {
        if (pattern.test(stdout)) {
          done(stdout);
        }
      };
      child.stdout.on("data", look);
      look();
      void ended.then(() => failed(new Error(`ended without ${String(pattern)}: ${stderr}`)));
    });
  stopping.push(async () => {
    child.kill("SIGTERM");
    await ended;
  });
  return { child, printed, ended };
}
