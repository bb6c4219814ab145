import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { type Allocation, Slots, scratch } from "../support/allocate";
import { removeFolder } from "../support/leftovers";
import { needs } from "../support/needs";

const MINUTE = 60_000;
const folder = scratch("leftovers");

/** A run of its own, as far as it matters here: a process that holds a slot. */
async function anotherRun(): Promise<{ process: ChildProcess; slot: Allocation }> {
  const script = join(packageDir, "test/support/slotHolder.ts");
  const child = spawn(process.execPath, ["--import", "tsx", script, folder, "1"]);
  const [text] = await once(child.stdout, "data");
  const [slot] = JSON.parse(String(text)) as Allocation[];
  return { process: child, slot: slot! };
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

/** What a suite makes: a container that has a volume, a network and a port, an image of its own, files on the host. */
async function makeBox({ stack, port, dataDir }: Allocation): Promise<void> {
  const name = `gpubox-${stack}-edge`;
  const image = recipeReference(packageDir, "edge");
  mkdirSync(dataDir, { recursive: true });
  writeFileSync(join(dataDir, "owner"), stack);
  await output("docker", ["network", "create", "--label", `gpubox.stack=${stack}`, `gpubox-${stack}-data`]);
  await output("docker", [
    ...["run", "--detach", "--name", name, "--label", `gpubox.stack=${stack}`, "--entrypoint", "sleep"],
    ...["--network", `gpubox-${stack}-data`, "--publish", `127.0.0.1:${port}:4000`],
    ...["--volume", `gpubox-${stack}-database:/data`, "--volume", `${dataDir}:/own`, image, "600"],
  ]);
  await output("docker", ["tag", image, `gpubox-test/${stack}:latest`]);
}

/** How many containers, networks, volumes, images and folders a stack has here. */
async function left({ stack, dataDir }: Allocation): Promise<number[]> {
  const count = async (...args: string[]) =>
    (await run("docker", args)).stdout.split("\n").filter(Boolean).length;
  const name = ["--quiet", "--filter", `name=gpubox-${stack}-`];
  return [
    await count("ps", "--all", ...name),
    await count("network", "ls", ...name),
    await count("volume", "ls", ...name),
    await count("image", "ls", "--quiet", `gpubox-test/${stack}`),
    existsSync(dataDir) ? 1 : 0,
  ];
}

needs("docker", "the image gpubox/edge")("two runs of these tests on one machine", () => {
  const started: ChildProcess[] = [];
  const next = new Slots(folder);
  afterAll(async () => {
    for (const child of started) if (child.exitCode === null && child.signalCode === null) await kill(child);
    next.sweep();
    removeFolder(folder);
  }, MINUTE);

  test(
    "do not meet, and a killed one leaves nothing that the next one trips over",
    async () => {
      const [killed, living] = await Promise.all([anotherRun(), anotherRun()]);
      started.push(killed.process, living.process);
      await Promise.all([makeBox(killed.slot), makeBox(living.slot)]);
      expect(await left(killed.slot)).toEqual([1, 1, 1, 1, 1]);
      await kill(killed.process);

      next.sweep();
      expect(await left(killed.slot)).toEqual([0, 0, 0, 0, 0]);
      expect(await left(living.slot)).toEqual([1, 1, 1, 1, 1]);
      const mine = next.allocate("mine");
      expect(mine.port).not.toBe(living.slot.port);
      next.release(mine.stack);
    },
    2 * MINUTE,
  );
});
