import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, type RunResult, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { allocate } from "../support/allocate";
import { complete, editStack, modelsAt } from "../support/box";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeBox, removeProject, type TestProject } from "../support/project";
import { until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("else");
/** The box that the gateway's config is imported into. */
const NEW = allocate("imported");
const NETWORK = `gpubox-${STACK}`;
const KEY = "sk-elsewhere-0123456789abcdef";

/** What `gpubox gateway-config` writes, in the hands of the real LiteLLM. */
needs("docker")("a gateway that runs elsewhere", () => {
  let project: TestProject;
  /** Begun early: it takes as long as a start. */
  let validated: Promise<RunResult>;
  const image = recipeReference(packageDir, "gateway");
  const label = ["--label", `gpubox.stack=${STACK}`];
  const docker = (...args: string[]) => output("docker", args);
  const written = (profile: string, name: string) => readFileSync(join(project.dir, profile, name), "utf8");

  beforeAll(async () => {
    project = makeProject(STACK, PORT, {
      cache: { ttlSeconds: 60 },
      models: {
        "llama-local": {
          engine: "openai",
          baseUrl: "http://models.example.com:8000/far/v1",
          apiKey: { secret: "farKey" },
          profiles: { stateful: false },
        },
        tiny: {
          engine: "llamacpp",
          model: "canned",
          aliases: ["small"],
          profiles: { stateless: { baseUrl: "http://models.example.com:8000/tiny/v1", apiKey: "none" } },
        },
        "only-here": { engine: "llamacpp", model: "canned" },
      },
    });
    for (const profile of ["stateless", "stateful"]) {
      const said = await gpubox(project, "gateway-config", "--profile", profile, "--out", profile);
      expect([said.code, said.stderr]).toEqual([0, ""]);
    }
    validated = run("docker", [
      ...["run", "--rm", ...label, "--env", "LITELLM_LOCAL_MODEL_COST_MAP=True", "--env", "HOME=/tmp"],
      ...["--env", `LITELLM_MASTER_KEY=${KEY}`, "--env", "REDIS_HOST=127.0.0.1", "--env", "REDIS_PORT=6379"],
      ...["--volume", `${join(project.dir, "stateful")}:/etc/gateway:ro`, image],
      ...["--config", "/etc/gateway/config.yaml", "--validate_config"],
    ]);
    await docker("network", "create", ...label, NETWORK);
    await docker(
      ...["run", "--detach", "--name", `${NETWORK}-stub`, ...label, "--network", NETWORK],
      ...["--network-alias", "models.example.com", "--entrypoint", "python3"],
      ...["--volume", `${join(project.dir, "test/support/stub.py")}:/stub.py:ro`, image, "/stub.py"],
    );
  }, 2 * MINUTE);
  afterAll(() => {
    removeBox(NEW);
    removeProject(project);
  });

  test(
    "with the stateless profile, it serves the models that it can reach and needs no store",
    async () => {
      const env = written("stateless", "env.template")
        .replace("LITELLM_MASTER_KEY=", `LITELLM_MASTER_KEY=${KEY}`)
        .replace("GPUBOX_SECRET_farKey=", "GPUBOX_SECRET_farKey=sk-far");
      writeFileSync(join(project.dir, "filled.env"), env);
      await docker(
        ...["run", "--detach", "--name", `${NETWORK}-gateway`, ...label, "--network", NETWORK],
        ...["--publish", `127.0.0.1:${PORT}:4000`, "--env-file", join(project.dir, "filled.env")],
        ...["--env", "LITELLM_LOCAL_MODEL_COST_MAP=True", "--env", "HOME=/tmp"],
        ...["--volume", `${join(project.dir, "stateless")}:/etc/gateway:ro`, image],
        ...["--config", "/etc/gateway/config.yaml", "--port", "4000"],
      );
      const url = `http://127.0.0.1:${PORT}`;
      await until(
        "the gateway answers",
        async () => {
          const signal = AbortSignal.timeout(5_000);
          const up = await fetch(`${url}/health/liveliness`, { signal }).catch(() => undefined);
          if (up?.ok) return true;
          const state = await docker("inspect", "--format", "{{.State.Status}}", `${NETWORK}-gateway`);
          if (state !== "running")
            throw new Error((await run("docker", ["logs", `${NETWORK}-gateway`])).stderr);
          return false;
        },
        { seconds: 300, everyMs: 500 },
      );
      expect(await modelsAt(url, KEY)).toEqual(["llama-local", "small", "tiny"]);
      expect(await complete(url, KEY, "llama-local")).toBe("said by far");
      expect(await complete(url, KEY, "small")).toBe("said by tiny");
    },
    3 * MINUTE,
  );

  test(
    "imported, it becomes a box that answers as the gateway does, with the same key",
    async () => {
      const box = { ...project, stack: NEW.stack };
      const env = `LITELLM_MASTER_KEY=${KEY}\nGPUBOX_SECRET_farKey=sk-far\n`;
      writeFileSync(join(project.dir, "stateless/.env"), env);
      const read = await gpubox(box, "import", "stateless/config.yaml", "--yes");
      expect([read.code, read.stderr]).toEqual([0, ""]);
      expect(read.stdout).toContain("Secrets that moved: farKey, masterKey.");
      expect(read.stdout + written(".", `Pulumi.${NEW.stack}.yaml`)).not.toContain(KEY);
      editStack(box, (config) => {
        const edited: Record<string, object> = config;
        const own = { port: NEW.port, joinNetworks: { upstreams: [NETWORK] } };
        edited["gpubox:host"] = { dataDir: NEW.dataDir };
        edited["gpubox:gateway"] = { ...edited["gpubox:gateway"], ...own };
        // `up` would ask the stub for what only an engine has.
        for (const model of Object.values(edited["gpubox:models"]!))
          Object.assign(model, { start: "manual" });
      });
      const up = await gpubox(box, "up", "--yes");
      expect([up.code, up.code === 0 ? "" : up.stdout + up.stderr]).toEqual([0, ""]);
      const keys = { OLD_GATEWAY_KEY: KEY, NEW_GATEWAY_KEY: KEY };
      const compared = await gpubox(
        { ...box, env: { ...box.env, ...keys } },
        ...["import", "--check", "--json", "--old", `http://127.0.0.1:${PORT}`],
        ...["--new", `http://127.0.0.1:${NEW.port}`],
      );
      const asked = ["llama-local", "small", "tiny"].flatMap((name) =>
        ["chat/completions", "messages"].map((route) => `${name} /v1/${route}`),
      );
      const rows: { request: string; same: boolean }[] = JSON.parse(compared.stdout);
      expect(rows.map(({ request, same }) => [request, same])).toEqual(
        ["/v1/models", ...asked].map((request) => [request, true]),
      );
      expect(compared.code).toBe(0);
    },
    10 * MINUTE,
  );

  test(
    "with the stateful profile, LiteLLM takes the config",
    async () => {
      expect(written("stateful", "config.yaml")).not.toContain("llama-local");
      const { code, stdout, stderr } = await validated;
      expect({ code, out: code === 0 ? "" : stdout + stderr }).toEqual({ code: 0, out: "" });
    },
    2 * MINUTE,
  );

  test("an unknown profile is refused with the known ones", async () => {
    const said = await gpubox(project, "gateway-config", "--profile", "stateles");
    expect([said.code, said.stderr]).toEqual([
      2,
      "error: option '--profile <profile>' argument 'stateles' is invalid. Allowed choices are stateful, stateless.\n" +
        "Add --help to see the usage.\n",
    ]);
  });
});
