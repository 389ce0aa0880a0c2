// Measures a hub's room under workerd, beside a bare room object and openmls alone, in one run.

import { readFileSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePortPair, startProvider, type Provider } from "../../../js/hub/cli/provider-process.js";
import { fill, type Recorded, type Recording } from "./record.js";
import { connect, replay, type Replayed } from "./replay.js";

/** What to measure, and with what. */
export interface Plan {
  /** The hub's Worker, the same that says what it writes, and the bare one. */
  readonly worker: string;
  readonly counting: string;
  readonly bare: string;
  /** openmls' group alone, as the module for tests has it. */
  readonly openmls: { readonly PublicRoom: new (creation: Uint8Array) => { update(body: Uint8Array): void; free(): void } };
  /** Members, and how many commits are measured; `messages` are sent to how many connected devices. */
  readonly commits: readonly (readonly [members: number, commits: number])[];
  readonly messages: number;
  readonly devices: readonly number[];
  /** Members of a room of which only what is written is measured. */
  readonly written: readonly number[];
  readonly tell: (line: string) => void;
}

export interface CommitFigures {
  readonly members: number;
  readonly hub: Replayed;
  readonly bare: Replayed;
  /** Of openmls alone, per commit. */
  readonly openmlsMillis: number;
  /** Processor time of the runtime per commit. */
  readonly cpuMillis: number;
  /** How much longer the first commit of a room takes that is not in memory. */
  readonly coldMillis: number;
  /** The runtime's memory after all. */
  readonly memoryBytes: number;
  /** Of the median commit. */
  readonly written: Written;
}
export interface Written { readonly members: number; readonly bytes: number; readonly rows: number }
export interface MessageFigures { readonly devices: number; readonly hub: Replayed; readonly bare: Replayed; readonly received: number }
export interface Figures { readonly storage: string; readonly commits: readonly CommitFigures[]; readonly messages: readonly MessageFigures[]; readonly written: readonly Written[] }

const DOMAIN = "alpha.example";
/** One device says more here than one may. */
const SETTINGS = { limits: { requestsPerDevice: 100_000, burstPerDevice: 1_000_000 } };
/** Requests at a time where that is allowed: messages. */
const LANES = 8;
/** A user's nonces and clocks allow five minutes: what is recorded is made again well before. */
const MEMBERS_OF_MESSAGES = 101;

export async function measure(plan: Plan): Promise<Figures> {
  const inMemory = existsSync("/dev/shm");
  const folder = await mkdtemp(join(inMemory ? "/dev/shm" : tmpdir(), "mimi-bench-"));
  try {
    const bench = new Bench(plan, folder);
    const commits: CommitFigures[] = [];
    for (const [members, count] of plan.commits) commits.push(await bench.commits(members, count));
    const messages = await bench.messages();
    const written = [...commits.map((row) => row.written)];
    for (const members of plan.written) written.push((await bench.written(members)).written);
    return { storage: inMemory ? "memory (/dev/shm)" : "disk", commits, messages, written };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A room whose state is kept aside, and requests that can be made of it. */
interface Prepared { readonly state: string; readonly recording: Recording; readonly requests: readonly Recorded[]; readonly written: Written }

class Bench {
  readonly #plan: Plan;
  readonly #folder: string;
  #rooms = 0;

  constructor(plan: Plan, folder: string) {
    this.#plan = plan;
    this.#folder = folder;
  }

  async #start(worker: string, state: string, onLog: (line: string) => void = () => undefined): Promise<Provider> {
    return await startProvider({ domain: DOMAIN, port: await freePortPair(), peers: [], caDir: join(this.#folder, "ca"), stateDir: state, worker, onLog, settings: SETTINGS });
  }

  /** Fills a room, keeps its state, and records what `act` asks. */
  async #prepare(members: number, connected: number, endpoint: string, act: (room: Awaited<ReturnType<typeof fill>>["member"]) => Promise<void>): Promise<Prepared> {
    const state = join(this.#folder, `room-${String(this.#rooms += 1)}`);
    const kept = `${state}-kept`;
    const steps: number[][] = [];
    const onLog = (line: string): void => {
      const [, name = "", rows = "[]"] = /^bench-written (\S+) (.*)$/.exec(line) ?? [];
      if (name.startsWith("bench@")) steps.push(JSON.parse(rows) as number[]);
    };
    let provider = await this.#start(this.#plan.counting, state, onLog);
    const { member, recording } = await fill(urlOf(provider), members, connected);
    this.#plan.tell(`${String(members)} members are in`);
    // Its state is kept as it is on disk when nothing runs; the member goes on as after a restart.
    await sleep(1_500);
    const port = Number(new URL(provider.clientUrl).port);
    await provider.stop();
    await cp(state, kept, { recursive: true });
    provider = await startProvider({ domain: DOMAIN, port, peers: [], caDir: join(this.#folder, "ca"), stateDir: state, worker: this.#plan.counting, onLog, settings: SETTINGS });
    for await (const { state: sync } of member.client.sync) if (sync === "live") break;
    steps.length = 0;
    member.recorder.requests = [];
    await act(member);
    await member.client.close();
    await provider.stop();
    await rm(state, { recursive: true });
    return { state: kept, recording, requests: member.recorder.of(endpoint), written: medianOf(members, steps) };
  }

  /** A provider over a copy of a kept state. */
  async #again(worker: string, { state }: Prepared): Promise<{ readonly provider: Provider; readonly end: () => Promise<void> }> {
    const copy = `${state}-again`;
    await cp(state, copy, { recursive: true });
    const provider = await this.#start(worker, copy);
    return { provider, end: async () => { await provider.stop(); await rm(copy, { recursive: true }); } };
  }

  async #bare(): Promise<{ readonly provider: Provider; readonly end: () => Promise<void> }> {
    const state = join(this.#folder, "bare");
    const provider = await this.#start(this.#plan.bare, state);
    return { provider, end: async () => { await provider.stop(); await rm(state, { recursive: true }); } };
  }

  async #preparedCommits(members: number, count: number): Promise<Prepared> {
    return await this.#prepare(members, 0, "update", async ({ room }) => { for (let index = 0; index < count; index += 1) await room.updateKeys(); });
  }

  async written(members: number): Promise<Prepared> { return await this.#preparedCommits(members, 3); }

  async commits(members: number, count: number): Promise<CommitFigures> {
    const prepared = await this.#preparedCommits(members, count);
    const { recording, requests, written } = prepared;
    const { provider, end } = await this.#again(this.#plan.worker, prepared);
    const [first] = requests;
    if (first === undefined) throw new Error("no commit was recorded");
    // The isolate and the user's object are warm, the room is not.
    await fetch(`${provider.clientUrl}/rooms`);
    const cold = await replay(urlOf(provider), [first], 1);
    const before = cpuMillis(provider.pid);
    const hub = await replay(urlOf(provider), requests.slice(1), 1);
    const cpu = (cpuMillis(provider.pid) - before) / (requests.length - 1);
    const memoryBytes = memoryOf(provider.pid);
    await end();
    const bareRoom = await this.#bare();
    const bare = await replay(urlOf(bareRoom.provider), requests.slice(1), 1, headersOf(recording, written));
    await bareRoom.end();
    const openmlsMillis = this.#openmls(recording, requests);
    this.#plan.tell(`${String(members)} members: ${hub.perSecond.toFixed(0)} commits/s`);
    return { members, hub, bare, openmlsMillis, cpuMillis: cpu, coldMillis: cold.p50 - hub.p50, memoryBytes, written };
  }

  /** The median time of a commit. */
  #openmls({ creation, additions }: Recording, requests: readonly Recorded[]): number {
    const room = new this.#plan.openmls.PublicRoom(creation);
    for (const body of additions) room.update(body);
    const times = requests.map(({ body }) => {
      const began = performance.now();
      room.update(body);
      return performance.now() - began;
    });
    room.free();
    return times.sort((one, other) => one - other)[Math.floor(times.length / 2)] ?? NaN;
  }

  async messages(): Promise<readonly MessageFigures[]> {
    const most = Math.max(...this.#plan.devices);
    const prepared = await this.#prepare(MEMBERS_OF_MESSAGES, most, "submitMessage", async ({ room }) => {
      const sent: Promise<unknown>[] = [];
      for (let index = 0; index < this.#plan.messages; index += 1) sent.push((await room.send(`message ${String(index)}`)).accepted);
      await Promise.all(sent);
    });
    const { recording, requests, written } = prepared;
    const figures: MessageFigures[] = [];
    for (const devices of this.#plan.devices) {
      const sockets = recording.sockets.slice(0, devices);
      const { provider, end } = await this.#again(this.#plan.worker, prepared);
      const connected = await connect(urlOf(provider), sockets);
      await sleep(500);
      const before = connected.received();
      const hub = await replay(urlOf(provider), requests, LANES);
      await sleep(500);
      const received = connected.received() - before;
      connected.close();
      await end();
      const bareRoom = await this.#bare();
      const headers = headersOf(recording, written);
      const others = await connect(urlOf(bareRoom.provider), sockets, headers);
      const bare = await replay(urlOf(bareRoom.provider), requests, LANES, headers);
      others.close();
      await bareRoom.end();
      this.#plan.tell(`${String(devices)} devices: ${hub.perSecond.toFixed(0)} messages/s`);
      figures.push({ devices, hub, bare, received });
    }
    return figures;
  }
}

function urlOf(provider: Provider): string { return new URL(provider.clientUrl).origin; }

/** What the bare room is told to store and whom to tell. */
function headersOf({ users }: Recording, { sizes }: Written & { readonly sizes?: readonly number[] }): Readonly<Record<string, string>> {
  // The largest row is the same one each time, as the group's is; the others are new.
  const rows = [...(sizes ?? [])].sort((one, other) => other - one).map((bytes, index) => `${index === 0 && bytes > 10_000 ? "1" : "0"}:${String(bytes)}`);
  return { "x-rows": rows.join(","), "x-users": users.join(","), "x-user": "alice@alpha.example" };
}

/** Of steps that write at least as many rows as the median of those that write several, the median one. */
function medianOf(members: number, steps: readonly number[][]): Written & { readonly sizes: readonly number[] } {
  const several = steps.filter((rows) => rows.length >= 4);
  const bytes = (rows: readonly number[]): number => rows.reduce((sum, length) => sum + length, 0);
  const sorted = [...several].sort((one, other) => bytes(one) - bytes(other));
  const sizes = sorted[Math.floor(sorted.length / 2)] ?? [];
  return { members, bytes: bytes(sizes), rows: sizes.length, sizes };
}

/** User and system time of a process, from /proc: hundredths of a second. */
function cpuMillis(pid: number): number {
  const fields = readFileSync(`/proc/${String(pid)}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${String(pid)}/status`, "utf8"))?.[1] ?? NaN) * 1_024;
}
