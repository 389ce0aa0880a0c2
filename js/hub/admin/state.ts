// What the operator asks of the provider's objects: lists, rooms, reports, deletion; and its whole state as one file.

import { operatorCall } from "#wasm/hub";
import { drained } from "../bodies.js";
import { callCore, configOf, settingsOf, type Env } from "../core.js";
import { newRequestId } from "../log.js";
import { callObject, stub, type ObjectCall } from "../objects.js";

/** Classes of which there are many objects, in the order in which an export has them. */
export const CLASSES = ["HubRoom", "FollowedRoom", "User"] as const;
export type ClassName = (typeof CLASSES)[number];

/** An object as the index has it. */
export interface Listed { readonly name: string; /** In ms since 1970. */ readonly since: number }

/** What can be asked of objects: src/worker/mod.rs says of which, and with what. */
export type Question = "list" | "reports" | "peers" | "describe" | "describe-user" | "delete" | "revoke" | "waiting" | "retry" | "drop";

/** Asks an object; its JSON, or the status that it refused with. */
export async function ask(env: Env, what: Question, name = "", more = ""): Promise<{ readonly status: number; readonly json: unknown }> {
  const call = callCore(undefined, () => operatorCall(settingsOf(env), what, name, more)) as ObjectCall | undefined;
  if (call === undefined) return { status: 400, json: undefined };
  const { status, body } = await callObject(env, call, newRequestId());
  const text = new TextDecoder().decode(body);
  return { status, json: status === 200 && text !== "" ? (JSON.parse(text) as unknown) : undefined };
}

/** All objects of a class, in order. */
export async function* objectsOf(env: Env, className: ClassName): AsyncGenerator<Listed> {
  for (let after = "", more = true; more;) {
    const { json } = await ask(env, "list", className, after);
    const page = json as { readonly objects: readonly Listed[]; readonly more: boolean };
    yield* page.objects;
    after = page.objects.at(-1)?.name ?? "";
    ({ more } = page);
  }
}

/** How many objects of a class there are. */
export async function countOf(env: Env, className: ClassName): Promise<number> {
  let number = 0;
  for await (const _ of objectsOf(env, className)) number += 1;
  return number;
}

/** The version of an export's lines. */
const EXPORT_VERSION = 1;
/** Rows of an object that are read at once. */
const PAGE_ROWS = 64;
/** The key before all others. */
const NOTHING = new Uint8Array();

/** A line of an export. The first is the head; each other has rows of one object; the last says how many there were. */
type Line =
  | { readonly mimi: "export"; readonly version: typeof EXPORT_VERSION; readonly domain: string; readonly at: number }
  | { readonly class: string; readonly name: string; readonly rows: readonly (readonly [key: string, value: string])[] }
  | { readonly end: { readonly objects: number; readonly rows: number } };

/** The provider's state, one JSON value per line: each object's rows, base64, after a head; then how many. */
export function exported(env: Env): ReadableStream<Uint8Array> {
  const lines = exportLines(env);
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await lines.next();
      if (done) controller.close();
      else controller.enqueue(new TextEncoder().encode(`${JSON.stringify(value)}\n`));
    },
  });
}

async function* exportLines(env: Env): AsyncGenerator<Line, undefined> {
  const { domain } = configOf(env);
  yield { mimi: "export", version: EXPORT_VERSION, domain, at: Date.now() };
  const end = { objects: 0, rows: 0 };
  for (const { class: className, name } of await allObjects(env)) {
    end.objects += 1;
    for (let after: Uint8Array = NOTHING, more = true; more;) {
      const rows = await stub(env, { class: className, name }).dump(after, PAGE_ROWS);
      if (rows.length === 0) break;
      end.rows += rows.length;
      yield { class: className, name, rows: rows.map(([key = NOTHING, value = NOTHING]): [string, string] => [base64(key), base64(value)]) };
      after = rows.at(-1)?.[0] ?? NOTHING;
      more = rows.length === PAGE_ROWS;
    }
  }
  yield { end };
  return undefined;
}

/** Hubs before followers before users: what is on its way from one to another is then in one of them, or in both, and is taken once. */
async function allObjects(env: Env): Promise<{ readonly class: ObjectCall["class"]; readonly name: string }[]> {
  const all: { readonly class: ObjectCall["class"]; readonly name: string }[] = [];
  for (const className of CLASSES) for await (const { name } of objectsOf(env, className)) all.push({ class: className, name });
  return [...all, { class: "Provider", name: configOf(env).domain }];
}

/** What is wrong with an import, for the operator. */
export class ImportError extends Error {}

/** Takes an export into a provider that has nothing yet; resolves to how much there was. */
export async function imported(env: Env, body: ReadableStream<Uint8Array> | null): Promise<{ readonly objects: number; readonly rows: number }> {
  const text = body?.pipeThrough(new TextDecoderStream());
  try {
    return await takeIn(env, text);
  } catch (error) {
    await drained(text);
    throw error;
  }
}

async function takeIn(env: Env, text: ReadableStream<string> | undefined): Promise<{ readonly objects: number; readonly rows: number }> {
  const { domain } = configOf(env);
  for (const className of CLASSES) if ((await countOf(env, className)) > 0) throw new ImportError("this provider is not empty");
  const seen = { objects: new Set<string>(), rows: 0 };
  let isBegun = false;
  for await (const line of linesOf(text)) {
    if ("mimi" in line) {
      if (line.version !== EXPORT_VERSION) throw new ImportError(`an export of version ${String(line.version)}`);
      if (line.domain !== domain) throw new ImportError(`an export of ${line.domain}, and this is ${domain}`);
      isBegun = true;
    } else if ("end" in line) {
      // The file's checksum may follow: the command line looks at it.
      if (line.end.objects !== seen.objects.size || line.end.rows !== seen.rows) throw new ImportError("the export is not whole");
      // Not before: what one sends to another has to find it there.
      for (const { class: className, name } of await allObjects(env)) await stub(env, { class: className, name }).wake();
      return line.end;
    } else {
      if (!isBegun) throw new ImportError("not an export");
      seen.objects.add(`${line.class} ${line.name}`);
      seen.rows += line.rows.length;
      await stub(env, { class: line.class as ObjectCall["class"], name: line.name }).load(line.name, line.rows.map(([key, value]) => [bytes(key), bytes(value)]));
    }
  }
  throw new ImportError("the export ends too early");
}

async function* linesOf(text: ReadableStream<string> | undefined): AsyncGenerator<Line> {
  let rest = "";
  for await (const part of text?.values({ preventCancel: true }) ?? []) {
    const lines = (rest + part).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      try {
        yield JSON.parse(line) as Line;
      } catch {
        throw new ImportError("a line that is no JSON");
      }
    }
  }
}

function base64(data: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < data.length; at += 0x8000) binary += String.fromCharCode(...data.subarray(at, at + 0x8000));
  return btoa(binary);
}

function bytes(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
