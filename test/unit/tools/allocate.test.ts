import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { packageDir } from "../../../platform/project";
import { type Allocation, Slots, scratch } from "../../support/allocate";
import { mountsIn, removeFolder } from "../../support/leftovers";

const folder = scratch("slots");
const cleaned: string[] = [];
const own = new Slots(folder, (stack) => void cleaned.push(stack));
const files = () => readdirSync(folder).filter((name) => name.endsWith(".json"));

/** Another process with slots of its own. */
async function holder(count: number): Promise<{ process: ChildProcess; slots: Allocation[] }> {
  const script = join(packageDir, "test/support/slotHolder.ts");
  const child = spawn(process.execPath, ["--import", "tsx", script, folder, String(count)]);
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += chunk;
  });
  while (!text.includes("\n")) await once(child.stdout, "data");
  return { process: child, slots: JSON.parse(text) };
}

afterAll(() => removeFolder(folder));

test("two processes that reserve at once never get the same, and a killed one's slots are cleaned and free again", async () => {
  const both = await Promise.all([holder(20), holder(20)]);
  const mine = Array.from({ length: 20 }, () => own.allocate("mine"));
  const all = [...mine, ...both.flatMap(({ slots }) => slots)];
  for (const key of ["net", "port", "stack", "dataDir"] as const)
    expect(new Set(all.map((one) => one[key])).size).toBe(60);
  expect(files()).toHaveLength(60);

  const [killed, living] = both;
  const gone = once(killed!.process, "exit");
  killed!.process.kill("SIGKILL");
  await gone;
  own.sweep();
  expect(cleaned.sort()).toEqual(killed!.slots.map(({ stack }) => stack).sort());
  expect(files()).toHaveLength(40);
  for (const { net } of living!.slots) expect(files()).toContain(`${net}.json`);

  own.releaseAll();
  expect(files()).toHaveLength(20);
  const left = once(living!.process, "exit");
  living!.process.kill("SIGKILL");
  // The next test takes its slots.
  await left;
});

/** The first port of two slots beside everything that listens here now. */
function freeBase(): number {
  const bases = Array.from({ length: 50 }, (_, index) => 12_000 + 80 * index);
  const base = bases.find((port) => {
    const both = new Slots(folder, () => {}, 2, port);
    try {
      return both.allocate("one") && both.allocate("two");
    } catch {
      return false;
    } finally {
      both.releaseAll();
    }
  });
  if (base === undefined) throw new Error(`no 80 ports are free from ${bases[0]} on`);
  return base;
}

test("names of a slot stand apart, and its ports are those that nobody listens on", async () => {
  const base = freeBase();
  const few = new Slots(folder, () => {}, 2, base);
  const first = few.allocate("drift");
  expect(first).toEqual({
    net: expect.any(Number),
    stack: expect.stringMatching(/^drift-[0-9a-f]{4}$/),
    port: base + first.net * 40,
    dataDir: `/srv/gpubox-${first.stack}`,
  });
  few.release(first.stack);
  const server = createServer().listen(first.port + 7, "127.0.0.1");
  await once(server, "listening");
  expect(few.allocate("other").net).toBe(1 - first.net);
  expect(() => few.allocate("more")).toThrow("all 2 slots");
  server.close();
  few.releaseAll();
});

test("what a test mounted below its folder is unmounted before it, from the inside out", () => {
  const line = (path: string) => `36 35 98:0 / ${path} rw,noatime shared:1 - ext4 /dev/loop0 rw`;
  const mounts = ["/", "/srv/box", "/srv/box/inner", "/srv/boxes"].map(line).join("\n");
  expect(mountsIn(mounts, "/srv/box")).toEqual(["/srv/box/inner", "/srv/box"]);
});
