import { rmSync } from "node:fs";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { repositoryResolved } from "../../platform/stack/resolved";
import { allocate, scratch } from "../support/allocate";
import { complete, editStack, exportsIn, inShell, masterKeyOf } from "../support/box";
import { clusterStack, find } from "../support/cluster";
import { needs } from "../support/needs";
import { Pods } from "../support/pods";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { Pulse } from "../support/pulse";
import { testSecrets } from "../support/stacks";
import { until } from "../support/wait";

const MINUTE = 60_000;
const IMAGES = ["gateway", "edge", "llamacpp"].map((role) => `the image gpubox/${role}`);
const ANSWER = "pong from the gpubox test model";
const CHAT = "/v1/chat/completions";

/** A stack for Kubernetes, its pods run by Docker, and a box on Docker: each serves a model of the other one. */
needs(
  "root",
  "docker",
  "pulumi",
  ...IMAGES,
)("a box and a cluster", () => {
  const HERE = allocate("move");
  const network = `gpubox-${allocate("moved").stack}`;
  const edge = `${network}-edge`;
  /** Between the two, without the names of Services that both have. */
  const between = `${network}-between`;
  const dir = scratch("moved", "/var/tmp");
  const tiny = { engine: "llamacpp", model: "canned", memoryMiB: 1024, threads: 1, parallel: 2 };
  const small = { cache: { mode: "none" }, database: { mode: "none" } };
  const resolved = { ...repositoryResolved(packageDir), offlineModels: ["tiny"], knownModels: ["tiny"] };
  let box: TestProject;
  let pods: Pods;
  let exports: string[];
  let key: string;

  const up = async () => {
    const { code, stdout, stderr } = await gpubox(box, "up", "--yes");
    expect([code, code === 0 ? "" : stdout + stderr]).toEqual([0, ""]);
    return stdout;
  };
  /** Requests that the cluster's edge has answered. */
  const there = async () => {
    const { stdout, stderr } = await run("docker", ["logs", edge]);
    return (stdout + stderr).split(`POST ${CHAT}`).length - 1;
  };
  /** Edits the entry of the box's model, brings the box up, and gives what clients met meanwhile. */
  const moved = async (entry: object, isOver: (pulse: Pulse) => Promise<boolean>) => {
    const pulse = new Pulse(box.endpoint, key, {
      [CHAT]: { model: "tiny", messages: [{ role: "user", content: "ping" }], max_tokens: 32 },
    });
    editStack(box, (config: Record<string, Record<string, object>>) => {
      config["gpubox:models"]!.tiny = entry;
    });
    await up();
    await until("the route leads elsewhere", () => isOver(pulse));
    const beats = await pulse.stop();
    return { asked: beats.length, lost: beats.filter(({ said }) => said !== 200) };
  };

  beforeAll(async () => {
    for (const name of [network, between]) await output("docker", ["network", "create", name]);
    box = makeProject(HERE.stack, HERE.port, {
      ...small,
      host: { dataDir: HERE.dataDir },
      gateway: {
        port: HERE.port,
        drainTimeout: 10,
        joinNetworks: { clients: [between], upstreams: [between] },
      },
      models: { tiny },
    });
    const { plan } = clusterStack(
      {
        ...small,
        gateway: { hosts: [edge] },
        models: {
          tiny: { ...tiny, model: "hf://acme/tiny/tiny.gguf", offlineModel: "canned" },
          boxed: {
            engine: "openai",
            model: "tiny",
            baseUrl: `http://gpubox-${HERE.stack}-edge:4000/v1`,
            apiKey: { secret: "boxKey" },
          },
        },
      },
      { resolved, secrets: { boxKey: "sk-replaced-below-0123456789" } },
    );
    exports = exportsIn(await up());
    key = await masterKeyOf(box, exports);
    pods = new Pods(plan, { ...testSecrets, boxKey: key }, network, dir);
    for (const name of ["backend-tiny", "gateway", "edge"])
      await pods.start(name, find(pods.objects, "Deployment", name).spec.template);
    for (const name of ["gateway", "edge"])
      await output("docker", ["network", "connect", between, pods.called(name)]);
    const set = `printf %s ${testSecrets.masterKey} | pulumi config set --secret gpubox:clusterKey --stack ${box.stack}`;
    expect(await inShell(box, exports, set)).toMatchObject({ code: 0 });
  }, 20 * MINUTE);

  afterAll(async () => {
    const names = ["backend-tiny", "gateway", "edge"].map((name) => `${network}-${name}`);
    await run("docker", ["rm", "--force", ...names]);
    removeProject(box);
    await run("docker", ["network", "rm", network, between]);
    rmSync(dir, { recursive: true, force: true });
  }, 2 * MINUTE);

  test(
    "a model moves from the box to the cluster under requests, and none is lost",
    async () => {
      expect(await complete(box.endpoint, key, "tiny")).toBe(ANSWER);
      expect(await there()).toBe(0);
      const entry = { engine: "openai", baseUrl: `http://${edge}:4000/v1`, apiKey: { secret: "clusterKey" } };
      const { asked, lost } = await moved(entry, async () => (await there()) > 1);
      expect(lost).toEqual([]);
      expect(asked).toBeGreaterThan(10);
    },
    10 * MINUTE,
  );

  test(
    "and back",
    async () => {
      const isBack = async ({ beats }: Pulse) => {
        const [count, before] = [await there(), beats.length];
        await until("three more answers", () => beats.length >= before + 3);
        return (await there()) === count;
      };
      const { asked, lost } = await moved(tiny, isBack);
      expect(lost).toEqual([]);
      expect(asked).toBeGreaterThan(10);
    },
    10 * MINUTE,
  );

  test(
    "the cluster serves the box's model, too",
    async () => {
      const script = `import sys, json, urllib.request as u
body = json.dumps({"model": "boxed", "max_tokens": 32, "messages": [{"role": "user", "content": "ping"}]}).encode()
headers = {"Authorization": "Bearer " + sys.stdin.readline().strip(), "content-type": "application/json"}
print(json.load(u.urlopen(u.Request("http://${edge}:4000${CHAT}", headers=headers, data=body)))["choices"][0]["message"]["content"])`;
      const said = await pods.exec(
        "gateway",
        { exec: { command: ["python3", "-c", script] } },
        `${testSecrets.masterKey}\n`,
      );
      expect([said.code, said.stdout.trim()]).toEqual([0, ANSWER]);
    },
    2 * MINUTE,
  );
});
