import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildRecipes } from "../../operations/images/buildRecipes";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { cannedModel } from "../../tools/cannedModel";
import { allocate, scratch } from "../support/allocate";
import { complete, editStack } from "../support/box";
import { type StubHub, sha256, startHub } from "../support/hub";
import { removeFolder } from "../support/leftovers";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeBox, removeProject, type TestProject } from "../support/project";
import { until } from "../support/wait";

const MINUTE = 60_000;
/** The setup that runs before, in containers that a person began by hand. */
const { stack: OLD, port: OLD_PORT } = allocate("old");
/** The box that it becomes. */
const { stack: STACK, port: PORT, dataDir } = allocate("brought");
const KEY = "sk-before-0123456789abcdef";
const FAR_KEY = "PLANTED-far-0123456789abcdef";
const COMMIT = "c0ffee00".repeat(5);
const REPO = "org/held-GGUF";

type Sections = Record<string, Record<string, unknown>>;

needs("docker", "pulumi")("a setup that runs on this Docker engine", () => {
  let project: TestProject;
  let folder: string;
  let hub: StubHub;
  let imported: string;
  const name = (short: string) => `gpubox-${OLD}-${short}`;
  const docker = (...args: string[]) => output("docker", args);
  /** By names that a person would give them: what is gpubox' own is no old setup. */
  const images = {
    litellm: `localhost:1/${OLD}/litellm:v1`,
    server: `localhost:1/${OLD}/llama-server:v1`,
  };
  const blob = () => join(folder, "hub/models--org--held-GGUF/blobs", sha256(held));
  const held = cannedModel({ answer: "from the cache" });
  /** When each container of the old setup began: another time, and it was stopped. */
  const began = () =>
    docker("inspect", "--format", "{{.State.StartedAt}}", ...["gate", "plain", "held"].map(name));
  const edit = (change: (config: Sections) => void) =>
    editStack(project, (config) => change(config as unknown as Sections));
  const up = async () => {
    const { code, stdout, stderr } = await gpubox(project, "up", "--yes");
    expect(code === 0 ? "" : stdout + stderr).toBe("");
  };

  /** Writes a file, and the folders that it lies in. */
  function place(path: string, content: string | Buffer): string {
    const whole = join(folder, path);
    mkdirSync(dirname(whole), { recursive: true });
    writeFileSync(whole, content, { mode: 0o644 });
    return whole;
  }

  function server(short: string, options: string[], command: string[]): Promise<string> {
    return docker(
      ...["run", "--detach", "--name", name(short), "--network", name("net"), ...options],
      ...["--entrypoint", "/app/llama-server", images.server, "--host", "0.0.0.0", ...command],
    );
  }

  beforeAll(async () => {
    const engine = process.env.DOCKER_HOST || "unix:///var/run/docker.sock";
    const built = await buildRecipes(["gateway", "llamacpp"], {
      ...{ projectDir: packageDir, docker: engine, log: () => {} },
    });
    await docker("tag", built.gateway!, images.litellm);
    await docker("tag", built.llamacpp!, images.server);
    // Beside the box's directory: its weights become hard links.
    folder = scratch(OLD, "/var/tmp");
    chmodSync(folder, 0o755);
    hub = await startHub({ [REPO]: { commit: COMMIT, files: { "q.gguf": held } } });
    place("weights/plain.gguf", cannedModel({ answer: "from a folder" }));
    place(`hub/models--org--held-GGUF/blobs/${sha256(held)}`, held);
    place("hub/models--org--held-GGUF/refs/main", COMMIT);
    const snapshot = join(folder, `hub/models--org--held-GGUF/snapshots/${COMMIT}`);
    mkdirSync(snapshot, { recursive: true });
    symlinkSync(`../../blobs/${sha256(held)}`, join(snapshot, "q.gguf"));
    place(
      "litellm/config.yaml",
      `model_list:
  - model_name: assistant
    litellm_params: { model: openai/plain, api_base: "http://${name("plain")}:8080/v1", api_key: none, temperature: 0.5 }
    model_info: { supports_vision: false }
  - model_name: held
    litellm_params: { model: hosted_vllm/held, api_base: "http://${name("held")}:9000/v1" }
  - model_name: far
    litellm_params: { model: hosted_vllm/far, api_base: "http://${name("far")}:8000/far/v1", api_key: ${FAR_KEY} }
router_settings:
  model_group_alias: { gpt-4o: assistant }
  fallbacks: [{ far: [held] }]
litellm_settings: { drop_params: true }
general_settings: { master_key: os.environ/LITELLM_MASTER_KEY }
`,
    );
    await docker("network", "create", name("net"));
    await server(
      "plain",
      ["--volume", `${join(folder, "weights")}:/models:ro`, "--memory", "1g", "--ulimit", "nofile=4096:8192"],
      ["--model", "/models/plain.gguf", "--alias", "plain", "--port", "8080", "-c", "8192", "--jinja"],
    );
    await server(
      "held",
      ["--volume", `${join(folder, "hub")}:/hub:ro`],
      [
        ...["--model", `/hub/models--org--held-GGUF/snapshots/${COMMIT}/q.gguf`, "--alias", "held"],
        ...["--port", "9000", "--jinja"],
      ],
    );
    await docker(
      ...["run", "--detach", "--name", name("far"), "--network", name("net"), "--entrypoint", "python3"],
      ...["--volume", `${join(packageDir, "test/support/stub.py")}:/stub.py:ro`, built.gateway!, "/stub.py"],
    );
    await docker(
      ...["run", "--detach", "--name", name("gate"), "--network", name("net"), "--restart", "always"],
      ...["--publish", `127.0.0.1:${OLD_PORT}:4000`, "--volume", `${join(folder, "litellm")}:/app/config:ro`],
      ...["--env", `LITELLM_MASTER_KEY=${KEY}`, "--env", "LITELLM_LOCAL_MODEL_COST_MAP=True"],
      ...["--env", "HOME=/tmp", images.litellm, "--config", "/app/config/config.yaml", "--port", "4000"],
    );
    project = { ...makeProject(STACK, PORT), dataDir };
    rmSync(join(project.dir, `Pulumi.${STACK}.yaml`));
    const url = `http://127.0.0.1:${OLD_PORT}`;
    await until("the old gateway answers", () => answers(`${url}/health/liveliness`), { seconds: 150 });
    expect(await complete(url, KEY, "gpt-4o")).toBe("from a folder");
  }, 10 * MINUTE);
  afterAll(async () => {
    removeProject(project);
    removeBox({ stack: OLD, dataDir });
    await run("docker", ["image", "rm", ...Object.values(images)]);
    await hub.close();
    removeFolder(folder);
  }, MINUTE);

  test(
    "becomes a stack file with the weights that the host has, and runs on",
    async () => {
      const before = await began();
      const { code, stdout, stderr } = await gpubox(project, "import", "docker", "--yes");
      expect([code, stderr]).toEqual([0, ""]);
      imported = stdout;
      const text = readFileSync(join(project.dir, `Pulumi.${STACK}.yaml`), "utf8");
      expect(stdout).toMatch(/^Secrets that moved: .*\bfarKey\b.*\bmasterKey\b.*\.$/m);
      for (const secret of [KEY, FAR_KEY]) expect(stdout + text).not.toContain(secret);
      edit((config) => {
        const models = config["gpubox:models"] as Record<string, Record<string, unknown>>;
        const image = { repository: `localhost:1/${OLD}/llama-server`, tag: "v1" };
        // Other suites of this run have containers too.
        for (const one of Object.keys(models))
          if (!["plain", "held", "far"].includes(one)) delete models[one];
        expect(models).toEqual({
          plain: {
            ...{ engine: "llamacpp", model: `file://${folder}/weights/plain.gguf`, ctxSize: 8192, image },
            ...{ memoryMiB: 1024, ulimits: { nofile: { soft: 4096, hard: 8192 } } },
            ...{ aliases: ["assistant", "gpt-4o"], params: { temperature: 0.5 } },
            info: { supports_vision: false },
          },
          held: { engine: "llamacpp", model: `hf://${REPO}@${COMMIT}/q.gguf`, image },
          far: {
            ...{ engine: "openai", baseUrl: `http://${name("far")}:8000/far/v1` },
            apiKey: { secret: "farKey" },
          },
        });
        expect(config["gpubox:gateway"]).toMatchObject({
          ...{ port: OLD_PORT + 100, routing: { fallbacks: { far: ["held"] } } },
        });
      });
      expect(await began()).toBe(before);
    },
    2 * MINUTE,
  );

  test(
    "comes up as a box beside it without a download, with hard links of what the hub's cache has",
    async () => {
      const before = await began();
      edit((config) => {
        config["gpubox:host"] = { ...config["gpubox:host"], dataDir, modelHub: hub.url };
        Object.assign(config["gpubox:gateway"]!, { port: PORT, joinNetworks: { upstreams: [name("net")] } });
        config["gpubox:cache"] = { mode: "none" };
        config["gpubox:database"] = { mode: "none" };
        // `up` would ask the stub for what only an engine has.
        (config["gpubox:models"] as Sections).far!.start = "manual";
        (config["gpubox:models"] as Sections).held!.holdSeconds = 1;
      });
      const [, step] = /^ {5}(mkdir -p .* && cp -alL .*\/held-GGUF\/.*)$/m.exec(imported) ?? [];
      expect(step).toContain(`/hf/${REPO}/${COMMIT}/`);
      await output("bash", ["-c", step!.replaceAll("/srv/gpubox/", `${dataDir}/`)]);
      const lock = await gpubox(project, "models", "lock");
      expect([lock.code, lock.stderr]).toEqual([0, ""]);
      const asked = hub.requests.length;
      await up();
      expect(hub.requests.slice(asked).filter((one) => one.includes(REPO))).toEqual([]);
      expect(statSync(join(dataDir, "models/hf", REPO, COMMIT, "q.gguf")).ino).toBe(statSync(blob()).ino);
      expect(await began()).toBe(before);
    },
    10 * MINUTE,
  );

  const check = (more: Record<string, string> = {}) =>
    gpubox(
      {
        ...project,
        env: { ...project.env, OLD_GATEWAY_KEY: KEY, NEW_GATEWAY_KEY: KEY, ...more },
      },
      ...["import", "--check", "--json", "--old", `http://127.0.0.1:${OLD_PORT}`],
      ...["--new", `http://127.0.0.1:${PORT}`],
    );
  const rows = (stdout: string): { request: string; new: string; same: boolean }[] => JSON.parse(stdout);
  const asked = ["assistant", "far", "gpt-4o", "held"].flatMap((model) =>
    ["chat/completions", "messages"].map((route) => `${model} /v1/${route}`),
  );

  test(
    "--check finds that the box answers every request as the old gateway does, with the same key",
    async () => {
      const { code, stdout } = await check();
      expect(rows(stdout).map(({ request, same }) => [request, same])).toEqual(
        ["/v1/models", ...asked].map((request) => [request, true]),
      );
      expect(code).toBe(0);
      expect(await complete(project.endpoint, KEY, "gpt-4o")).toBe("from a folder");
      expect(await complete(project.endpoint, KEY, "held")).toBe("from the cache");
    },
    2 * MINUTE,
  );

  test(
    "--check tells what differs, and ends with 1; a wrong key is told before anything is asked",
    async () => {
      await docker("stop", `gpubox-${STACK}-backend-held`);
      const { code, stdout } = await check();
      const differing = rows(stdout).filter(({ same }) => !same);
      expect(differing.map((row) => [row.request, row.new])).toEqual([
        ["held /v1/chat/completions", expect.stringMatching(/^503 \(status; model; without /)],
        ["held /v1/messages", expect.stringMatching(/^503 \(status; model; without /)],
      ]);
      expect(code).toBe(1);
      const wrong = await check({ NEW_GATEWAY_KEY: "sk-wrong-0123456789abcdef" });
      expect([wrong.code, wrong.stderr]).toEqual([
        1,
        "error: The new gateway does not list its models: status 401.\n       Check its key.\n",
      ]);
    },
    3 * MINUTE,
  );

  test(
    "hands its port over by the printed plan, and clients keep address and key",
    async () => {
      const old = `http://127.0.0.1:${OLD_PORT}`;
      const stops = /^ {5}docker stop (.*) && npx gpubox up/m.exec(imported)?.[1]?.split(" ") ?? [];
      const own = stops.filter((one) => one.startsWith(name("")));
      expect(own.sort()).toEqual(["gate", "held", "plain"].map(name));
      edit((config) => {
        config["gpubox:gateway"]!.port = OLD_PORT;
      });
      await docker("stop", ...own);
      await up();
      expect(await complete(old, KEY, "gpt-4o")).toBe("from a folder");
      expect(await complete(old, KEY, "held")).toBe("from the cache");
      expect(await complete(old, KEY, "far")).toBe("said by far");
    },
    10 * MINUTE,
  );
});

function answers(url: string): Promise<boolean> {
  return fetch(url, { signal: AbortSignal.timeout(3_000) }).then(
    ({ ok }) => ok,
    () => false,
  );
}
