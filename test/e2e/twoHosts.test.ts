import { output, run } from "../../platform/process";
import { allocate } from "../support/allocate";
import { complete, containersOf, editStack, exportsIn, inShell } from "../support/box";
import { EngineStub } from "../support/engineStub";
import { needs } from "../support/needs";
import {
  gpubox,
  makeProject,
  removeBox,
  removeProject,
  type TestProject,
  writeStack,
} from "../support/project";
import { until } from "../support/wait";

const MINUTE = 60_000;
const ONE = allocate("first");
const TWO = allocate("second");
/** The link between the two hosts, which are one machine here. */
const LINK = `gpubox-${allocate("link").stack}`;
const SUBNET = `10.231.${ONE.net}`;
const small = { cache: { mode: "none" }, database: { mode: "none" } };

/** What the stub of vLLM says of its command line, or why nobody answers. */
type Said = { argv: string[] } | string;

needs(
  "docker",
  "pulumi",
  "root",
)("a model over two hosts", () => {
  const engine = new EngineStub(ONE.stack);
  let first: TestProject;
  let second: TestProject;
  let key: string;

  const up = (project: TestProject) => gpubox(project, "up", "--yes");
  const rank0 = `gpubox-${ONE.stack}-backend-giant`;
  const rank1 = `gpubox-${TWO.stack}-worker-giant`;
  const stateOf = async (container: string) =>
    (await run("docker", ["exec", container, "cat", "/tmp/gpubox-rank"])).stdout;
  const flag = (said: Said, name: string) =>
    typeof said === "string" ? said : said.argv[said.argv.indexOf(name) + 1];

  async function asked(): Promise<Said> {
    const text = await complete(first.endpoint, key, "giant");
    return text.startsWith("{") ? JSON.parse(text) : text;
  }

  async function succeeds(project: TestProject): Promise<string> {
    const { code, stdout, stderr } = await up(project);
    expect(code === 0 ? "" : stdout + stderr).toBe("");
    return stdout;
  }

  beforeAll(async () => {
    await engine.build();
    await output("docker", [...["network", "create", "--internal", "--subnet", `${SUBNET}.0/24`, LINK]]);
    const giant = {
      ...{ engine: "vllm", image: engine.image, model: "file:///srv", memoryMiB: 512, readySeconds: 120 },
      maxModelLen: 1024,
      nodes: {
        network: LINK,
        address: `${SUBNET}.11`,
        workers: [{ stack: TWO.stack, address: `${SUBNET}.12` }],
      },
    };
    const parts = { gateway: "stub" } as const;
    first = makeProject(
      ONE.stack,
      ONE.port,
      { host: { dataDir: ONE.dataDir }, ...small, models: { giant } },
      parts,
    );
    second = {
      ...{ ...first, stack: TWO.stack },
      ...{ dataDir: TWO.dataDir, endpoint: `http://127.0.0.1:${TWO.port}` },
    };
    removeBox(second);
    writeStack(second, {
      host: { dataDir: TWO.dataDir },
      gateway: { port: TWO.port, drainTimeout: 10 },
      ...small,
      joins: { giant: { stack: ONE.stack } },
    });
  }, 5 * MINUTE);
  afterAll(async () => {
    if (second) removeBox(second);
    if (first) removeProject(first);
    await run("docker", ["network", "rm", LINK]);
    await engine.remove();
  }, 2 * MINUTE);

  test(
    "one `up` brings both hosts up and proves the model through rank 0",
    async () => {
      const said = await succeeds(first);
      expect(said).toContain(`models of ${ONE.stack} span the host of ${TWO.stack}, which comes first`);
      const { stdout } = await inShell(
        first,
        exportsIn(said),
        `pulumi config get gpubox:masterKey --stack ${ONE.stack}`,
      );
      key = stdout.trim();
      expect([await stateOf(rank0), await stateOf(rank1)]).toEqual(["serving", "serving"]);
      expect(flag(await asked(), "--node-rank")).toBe("0");
      const { stdout: theirs } = await run("docker", ["inspect", "--format", "{{json .Config.Cmd}}", rank1]);
      expect(JSON.parse(theirs)).toEqual(expect.arrayContaining(["--headless", "--node-rank", "1"]));
    },
    10 * MINUTE,
  );

  test(
    "a rank is on the link alone, at its declared address, and nothing of it is published",
    async () => {
      const [one] = JSON.parse((await run("docker", ["inspect", rank1])).stdout);
      const { Networks, Ports } = one.NetworkSettings;
      expect(
        Object.fromEntries(
          Object.entries<{ IPAddress: string }>(Networks).map(([name, { IPAddress }]) => [name, IPAddress]),
        ),
      ).toEqual({ [LINK]: `${SUBNET}.12` });
      expect(Object.values(Ports ?? {}).filter(Boolean)).toEqual([]);
    },
    MINUTE,
  );

  test(
    "nothing differs on either host from its plan, and a second `up` changes nothing",
    async () => {
      const before = [await containersOf(ONE.stack), await containersOf(TWO.stack)];
      await succeeds(first);
      expect([await containersOf(ONE.stack), await containersOf(TWO.stack)]).toEqual(before);
      for (const project of [first, second]) {
        const { code, stdout } = await gpubox(project, "drift");
        expect([code, code === 0 ? "" : stdout]).toEqual([0, ""]);
      }
    },
    10 * MINUTE,
  );

  test(
    "a rank that dies takes the model's engine with it, and both serve again when it is back",
    async () => {
      await output("docker", ["kill", rank1]);
      await until("rank 0 has noticed", async () => (await stateOf(rank0)) === "waiting");
      expect(await asked()).toMatch(/^503 /);
      await output("docker", ["start", rank1]);
      await until("the model answers", async () => typeof (await asked()) !== "string");
      expect([await stateOf(rank0), await stateOf(rank1)]).toEqual(["serving", "serving"]);
    },
    5 * MINUTE,
  );

  test(
    "a change of the entry is one change of both, which answer with it",
    async () => {
      editStack(first, (config) => {
        const models = (config as unknown as Record<string, Record<string, Record<string, unknown>>>)[
          "gpubox:models"
        ]!;
        models.giant!.maxModelLen = 2048;
      });
      expect(await succeeds(first)).toContain("giant: a rank on another host changes, so all of them stop");
      expect(flag(await asked(), "--max-model-len")).toBe("2048");
      expect([await stateOf(rank0), await stateOf(rank1)]).toEqual(["serving", "serving"]);
    },
    10 * MINUTE,
  );

  test(
    "a host that leaves its own file unsaid is refused before anything stops",
    async () => {
      editStack(second, (config) => {
        delete (config as Record<string, unknown>)["gpubox:joins"];
      });
      const { code, stderr } = await up(first);
      expect(code).toBe(1);
      expect(stderr.replace(/\s+/g, " ")).toContain(`Pulumi.${TWO.stack}.yaml does not join giant`);
      expect(typeof (await asked())).toBe("object");
    },
    5 * MINUTE,
  );
});
