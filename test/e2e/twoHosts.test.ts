import { output, run } from "../../platform/process";
import { allocate, scratch } from "../support/allocate";
import { editStack } from "../support/box";
import { EngineStub } from "../support/engineStub";
import { needs } from "../support/needs";
import { gpubox } from "../support/project";
import { TwoStacks } from "../support/twoStacks";
import { until } from "../support/wait";

const MINUTE = 60_000;

needs(
  "docker",
  "pulumi",
  "root",
)("a model over two hosts", () => {
  const engine = new EngineStub(allocate("spanning").stack);
  let hosts: TwoStacks;

  /** The value of a flag of the stub of vLLM that answers, or why nobody does. */
  async function answering(flag: string): Promise<string | undefined> {
    const text = await hosts.ask();
    if (!text.startsWith("{")) return text;
    const { argv } = JSON.parse(text) as { argv: string[] };
    return argv[argv.indexOf(flag) + 1];
  }

  beforeAll(async () => {
    await engine.build();
    hosts = await TwoStacks.make(
      {
        ...{ engine: "vllm", image: engine.image, model: `file://${scratch("spanning-model")}` },
        ...{ memoryMiB: 512, readySeconds: 120, holdSeconds: 1, maxModelLen: 1024 },
      },
      { gateway: "stub" },
    );
  }, 5 * MINUTE);
  afterAll(async () => {
    await hosts?.remove();
    await engine.remove();
  }, 2 * MINUTE);

  test(
    "one `up` brings both hosts up and proves the model through rank 0",
    async () => {
      expect(await hosts.up()).toContain(
        `models of ${hosts.first.stack} span the host of ${hosts.second.stack}, which comes first`,
      );
      expect(await hosts.serve()).toBe(true);
      expect(await answering("--node-rank")).toBe("0");
      const inspect = ["inspect", "--format", "{{json .Config.Cmd}}", hosts.ranks[1]];
      expect(JSON.parse(await output("docker", inspect))).toEqual(
        expect.arrayContaining(["--headless", "--node-rank", "1"]),
      );
    },
    10 * MINUTE,
  );

  test(
    "a rank is on the link alone, at its declared address, and nothing of it is published",
    async () => {
      const [{ NetworkSettings }] = JSON.parse(await output("docker", ["inspect", hosts.ranks[1]]));
      const networks = Object.entries<{ IPAddress: string }>(NetworkSettings.Networks);
      expect(networks.map(([name, { IPAddress }]) => [name, IPAddress])).toEqual([
        [hosts.link, hosts.addresses[1]],
      ]);
      expect(Object.values(NetworkSettings.Ports ?? {}).filter(Boolean)).toEqual([]);
    },
    MINUTE,
  );

  test(
    "neither host differs from its plan",
    async () => {
      for (const project of [hosts.first, hosts.second]) {
        const { code, stdout } = await gpubox(project, "drift");
        expect([code, code === 0 ? "" : stdout]).toEqual([0, ""]);
      }
    },
    5 * MINUTE,
  );

  test(
    "a rank that dies takes the model's engine with it, and both serve again when it is back",
    async () => {
      await output("docker", ["kill", hosts.ranks[1]]);
      await until("rank 0 has noticed", async () => (await hosts.states())[0] === "waiting");
      expect(await hosts.ask()).toMatch(/^503 /);
      await output("docker", ["start", hosts.ranks[1]]);
      await until("both serve", () => hosts.serve());
      await until("the valve passes", async () => (await answering("--node-rank")) === "0");
    },
    5 * MINUTE,
  );

  test(
    "a change of the entry is one change of both, which answer with it",
    async () => {
      editStack(hosts.first, (config) => {
        const { giant } = (config as Record<string, Record<string, Record<string, unknown>>>)[
          "gpubox:models"
        ]!;
        giant!.maxModelLen = 2048;
      });
      expect(await hosts.up()).toContain("giant: a rank on another host changes, so all of them stop");
      expect(await answering("--max-model-len")).toBe("2048");
      expect(await hosts.serve()).toBe(true);
    },
    10 * MINUTE,
  );

  test(
    "a host that takes its devices back is refused before anything stops",
    async () => {
      const { stdout: before } = await run("docker", ["inspect", "--format", "{{.Id}}", hosts.ranks[0]]);
      editStack(hosts.second, (config) => {
        delete (config as Record<string, unknown>)["gpubox:joins"];
      });
      const { code, stderr } = await gpubox(hosts.first, "up", "--yes");
      expect(code).toBe(1);
      expect(stderr.replace(/\s+/g, " ")).toContain(`Pulumi.${hosts.second.stack}.yaml does not join giant`);
      const { stdout: after } = await run("docker", ["inspect", "--format", "{{.Id}}", hosts.ranks[0]]);
      expect(after).toBe(before);
      expect(await answering("--max-model-len")).toBe("2048");
    },
    5 * MINUTE,
  );
});
