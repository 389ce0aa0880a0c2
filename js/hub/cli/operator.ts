/**
 * Asks a running provider, as its operator: over the socket of its state folder, or a deployed one by its
 * URL and token.
 */

import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { join } from "node:path";
import type { Readable } from "node:stream";

import { textOf, usage, type Values } from "./arguments.js";
import { CliError, systemCode } from "./errors.js";
import { readIfPresent } from "./files.js";

/** The options of every command that asks a provider. */
export const OPERATOR_OPTIONS = {
  state: { type: "string" },
  url: { type: "string" },
  "token-file": { type: "string" },
} as const;

/** Their lines in the help. */
export const OPERATOR_HELP = `    --state DIR              the state folder of one that runs here (default state)
    --url URL --token-file FILE
                             or a deployed one, and the file with its ADMIN_TOKEN`;

/** A provider that can be asked. */
export interface Operated {
  /** Asks; the answer's body. Throws a CliError for any status but 200. */
  ask(method: "GET" | "POST" | "DELETE", path: string, body?: Readable): Promise<IncomingMessage>;
  /** Asks, and reads JSON. */
  json(method: "GET" | "POST" | "DELETE", path: string): Promise<unknown>;
}

/** The provider that the options name. */
export async function operated(values: Values): Promise<Operated> {
  const url = textOf(values, "url");
  const send = url === undefined ? await bySocket(textOf(values, "state") ?? "state") : await byUrl(url, textOf(values, "token-file"));
  const ask: Operated["ask"] = async (method, path, body) => {
    const answer = await send(method, `/admin/v1/${path}`, body);
    if (answer.statusCode === 200) return answer;
    throw new CliError(refusal(answer.statusCode ?? 0, path, await textFrom(answer)));
  };
  return { ask, json: async (method, path) => JSON.parse(await textFrom(await ask(method, path))) as unknown };
}

function refusal(status: number, path: string, text: string): string {
  if (status === 401) return "the token is not the provider's ADMIN_TOKEN";
  if (status === 404) return `there is no ${path} at the provider`;
  return `the provider answers ${String(status)}${text === "" ? "" : `: ${text}`}`;
}

type Send = (method: string, path: string, body?: Readable) => Promise<IncomingMessage>;

async function bySocket(state: string): Promise<Send> {
  const note = await readIfPresent(join(state, "running.json"));
  if (note === undefined) throw new CliError(`no provider runs on ${state}: --state DIR names its folder`);
  const { socketFolder } = JSON.parse(note) as { readonly socketFolder: string };
  return (method, path, body) => sent(httpRequest, { socketPath: join(socketFolder, "admin"), method, path }, body);
}

async function byUrl(url: string, tokenFile: string | undefined): Promise<Send> {
  if (tokenFile === undefined) throw usage("--token-file is missing");
  const token = await readIfPresent(tokenFile);
  if (token === undefined) throw new CliError(`there is no ${tokenFile}`);
  const { protocol, hostname, port } = new URL(url);
  const headers = { authorization: `Bearer ${token.trim()}` };
  const request = protocol === "https:" ? httpsRequest : httpRequest;
  return (method, path, body) => sent(request as typeof httpRequest, { hostname, port, method, path, headers }, body);
}

function sent(request: typeof httpRequest, options: RequestOptions, body: Readable | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request(options, resolve);
    outgoing.on("error", (error) => {
      const code = systemCode(error);
      reject(code === undefined ? error : new CliError(`the provider cannot be reached: ${code}`));
    });
    if (body === undefined) outgoing.end();
    else body.pipe(outgoing);
  });
}

async function textFrom(answer: IncomingMessage): Promise<string> {
  let text = "";
  answer.setEncoding("utf8");
  for await (const part of answer) text += String(part);
  return text;
}
