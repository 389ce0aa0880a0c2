// The guide for a provider on one's own machine, followed to the letter: its commands run as they stand
// there, in an empty folder, and then people of both providers write to each other.

import assert from "node:assert/strict";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { freePortPair } from "../../js/hub/cli/provider-process.js";
import { person } from "../js/actors.js";
import { until } from "../js/story.js";

let folder: string;
let guide: string;
/** The ports of the guide, and those that are free here. */
const ports = new Map<string, number>();
const running: ChildProcess[] = [];

before(async () => {
  await mkdir("build/tests", { recursive: true });
  folder = await mkdtemp(resolve("build/tests/self-host-"));
  const [alpha, bravo] = [await freePortPair(), await freePortPair()];
  for (const [written, free] of [["8801", alpha], ["8443", alpha + 1], ["8803", bravo], ["8444", bravo + 1]] as const) ports.set(written, free);
  guide = await readFile("npm/hub/docs/self-host.md", "utf8");
});
after(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});

/** The commands of the guide's blocks of this kind, line by line. */
function commands(kind: string): string[] {
  const blocks = [...guide.matchAll(new RegExp(`^\`\`\`${kind}\\n([^]*?)^\`\`\`$`, "gm"))].map(([, block = ""]) => block);
  return blocks.flatMap((block) => block.trim().split("\n")).map((line) => line.replace(/(?<=127\.0\.0\.1:)\d+/g, (port) => String(ports.get(port) ?? port)));
}

/** Runs a command of the guide to its end. */
async function run(line: string): Promise<string> {
  const { stdout } = await promisify(execFile)("sh", ["-c", line], { cwd: folder });
  return stdout;
}

/** Runs commands of the guide that go on, each until it says that it is ready. */
async function serve(): Promise<void> {
  for (const line of commands("sh terminal")) {
    const child = spawn("sh", ["-c", `exec ${line}`], { cwd: folder, stdio: ["ignore", "pipe", "inherit"], detached: true });
    running.push(child);
    await new Promise<void>((resolve, reject) => {
      let said = "";
      child.stdout?.setEncoding("utf8").on("data", (text: string) => {
        said += text;
        if (/^ready$/m.test(said)) resolve();
      });
      child.once("exit", () => { reject(new Error(`${line} ended: ${said}`)); });
    });
  }
}

/** Ends them as a terminal does, with all that they have started. */
async function stop(): Promise<void> {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.pid === undefined) continue;
    process.kill(-child.pid, "SIGINT");
    await once(child, "exit");
  }
}

test("r2_two_providers_that_are_set_up_by_the_guide_federate_with_mutual_tls", async () => {
  const [setUp, checks] = [commands("sh").filter((line) => !line.startsWith("curl")), commands("sh").filter((line) => line.startsWith("curl"))];
  assert.equal(setUp.length, 4);
  for (const line of setUp) await run(line);
  await serve();
  assert.equal(checks.length, 2);
  for (const [index, domain] of ["alpha.example", "bravo.example"].entries()) {
    const directory = JSON.parse(await run(checks[index] ?? "")) as { notify: string };
    assert.equal(directory.notify, `https://${domain}/v1/notify/{roomId}`);
  }
  const check = (...more: string[]): Promise<string> => run(["npx mimi-hub check --config alpha/hub.jsonc --keys alpha/keys --peer-ca ca/ca-certificate.pem", ...more].join(" "));
  assert.equal(await check("bravo.example", `--address 127.0.0.1:${String(ports.get("8444"))}`), "ok      configuration\nok      hub keys\nok      certificate\nok      certificate: 364 days left\nok      bravo.example: its directory\n");
  await assert.rejects(check("charlie.example", `--address 127.0.0.1:${String(ports.get("8444"))}`), ({ code, stdout }: { code: number; stdout: string }) => {
    assert.equal(code, 2);
    assert.match(stdout, /^wrong {3}charlie\.example: its directory: .*charlie\.example/m);
    return true;
  });
  await stop();

  // What the guide's last block says, in both files.
  const [lines = ""] = /^```jsonc\n([^]*?)^```$/m.exec(guide)?.slice(1) ?? [];
  for (const name of ["alpha", "bravo"]) {
    const path = join(folder, name, "hub.jsonc");
    const text = await readFile(path, "utf8");
    await writeFile(path, text.replace('"$schema"', `${lines}"$schema"`));
  }
  await serve();
  const alice = await person("alice@alpha.example", `http://127.0.0.1:${String(ports.get("8801"))}`);
  const bob = await person("bob@bravo.example", `http://127.0.0.1:${String(ports.get("8803"))}`);
  try {
    await alice.createRoom("clubhouse");
    assert.equal(await alice.add("clubhouse@alpha.example", bob.user), 1);
    await until(async () => ((await bob.state("clubhouse@alpha.example")) === undefined ? undefined : true), async () => "Bob does not come in");
    await alice.send("clubhouse@alpha.example", "from one machine to the other");
    await bob.send("clubhouse@alpha.example", "and back");
    const received = async (who: typeof bob): Promise<string[]> => (await who.received("clubhouse@alpha.example")).map(({ text }) => text);
    await until(async () => ((await received(bob)).length > 0 && (await received(alice)).length > 0 ? true : undefined), async () => "a message is missing");
    assert.deepEqual([await received(bob), await received(alice)], [["from one machine to the other"], ["and back"]]);
  } finally {
    await Promise.all([alice.close(), bob.close()]);
  }
});
