import { chmodSync, rmSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { cannedSafetensors } from "../../tools/cannedSafetensors";
import { allocate, scratch } from "../support/allocate";
import { needs } from "../support/needs";
import { writeRepository } from "../support/repository";
import { TwoStacks } from "../support/twoStacks";
import { until } from "../support/wait";

const MINUTE = 60_000;
const ANSWER = "two hosts said this";
/** A load of it on a busy machine, with both ranks on its two cores. */
const READY_SECONDS = 900;

needs(
  "docker",
  "pulumi",
  "root",
)("the real vLLM over two hosts, with Gloo between them", () => {
  let hosts: TwoStacks;
  let folder: string;

  beforeAll(async () => {
    folder = scratch(`${allocate("spanned").stack}-model`);
    chmodSync(folder, 0o755);
    const entry = {
      ...{ engine: "vllm", dtype: "float32", enforceEager: true, memoryMiB: 3072, maxModelLen: 8192 },
      ...{ kvCacheMemoryBytes: 64 * 2 ** 20, readySeconds: READY_SECONDS, holdSeconds: 1 },
      // Two tensor ranks compile a part of the embedding, and the recipe's image has no compiler.
      env: { TORCHDYNAMO_DISABLE: "1" },
      model: writeRepository(join(folder, "giant"), cannedSafetensors({ answer: ANSWER })),
    };
    hosts = await TwoStacks.make(entry, { gateway: "stub" });
  }, 5 * MINUTE);
  afterAll(async () => {
    await hosts?.remove();
    if (folder) rmSync(folder, { recursive: true });
  }, 2 * MINUTE);

  test(
    "answers with the halves of both",
    async () => {
      await hosts.up();
      expect(await hosts.serve()).toBe(true);
      expect((await hosts.ask()).trim()).toBe(ANSWER);
      const { stdout, stderr } = await run("docker", ["logs", hosts.ranks[1]]);
      expect(stdout + stderr).toMatch(/world_size=2 rank=1 .*backend=gloo/);
    },
    40 * MINUTE,
  );

  test(
    "stops within seconds when a host is gone, and answers again when it is back",
    async () => {
      await output("docker", ["kill", hosts.ranks[1]]);
      await until("rank 0 has noticed", async () => (await hosts.states())[0] === "waiting", { seconds: 30 });
      expect(await hosts.ask()).toMatch(/^503 /);
      await output("docker", ["start", hosts.ranks[1]]);
      await until("both serve", () => hosts.serve(), { seconds: READY_SECONDS });
      await until("it answers", async () => (await hosts.ask()).trim() === ANSWER);
    },
    40 * MINUTE,
  );
});
