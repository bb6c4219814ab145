import { chmodSync, cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildRecipes, defaultRecipes } from "../../operations/images/buildRecipes";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { cannedModel } from "../../tools/cannedModel";
import { scratch } from "../support/allocate";
import { allowance } from "../support/allowance";
import { needs } from "../support/needs";
import { until } from "../support/wait";

const docker = process.env.DOCKER_HOST || "unix:///var/run/docker.sock";
// The base image is made with debootstrap, which needs root.
const describeWithEngine = needs("root", "docker");

const MINUTES = 60_000;

const eventually = <Value>(what: () => Promise<Value | undefined>, seconds: number) =>
  until(`${what}`, what, { seconds, everyMs: 200 });

describeWithEngine("images from the recipes", () => {
  const lines: string[] = [];
  const build = () =>
    buildRecipes(defaultRecipes, { projectDir: packageDir, docker, log: (line) => lines.push(line) });
  const containers: string[] = [];
  let references: Record<string, string>;
  let dir: string;

  const hardened = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--init"];

  /** Starts a container on an ephemeral loopback port and gives its address. */
  async function start(role: string, port: number, args: string[], command: string[]): Promise<string> {
    const publish = ["--publish", `127.0.0.1::${port}`, "--volume", `${dir}:/mnt:ro`];
    const id = await output("docker", [
      "run",
      "--detach",
      ...hardened,
      ...publish,
      ...args,
      references[role]!,
      ...command,
    ]);
    containers.push(id);
    return `http://${await output("docker", ["port", id, `${port}/tcp`])}`;
  }

  const inImage = (role: string, ...command: string[]) =>
    output("docker", ["run", "--rm", "--entrypoint", command[0]!, references[role]!, ...command.slice(1)]);

  // With a limit for each try: docker's proxy can accept a connection before the server does and then lose it.
  const answers = (url: string) => fetch(url, { signal: AbortSignal.timeout(3000) }).catch(() => undefined);
  const healthy = (url: string) => eventually(async () => ((await answers(url))?.ok ? true : undefined), 90);

  beforeAll(async () => {
    references = await build();
    dir = scratch("recipes");
    chmodSync(dir, 0o755);
    writeFileSync(join(dir, "canned.gguf"), cannedModel());
    const settings = { general_settings: { master_key: "os.environ/LITELLM_MASTER_KEY" }, model_list: [] };
    writeFileSync(join(dir, "config.yaml"), JSON.stringify(settings));
  }, 20 * MINUTES);

  afterAll(async () => {
    if (containers.length > 0) await run("docker", ["rm", "--force", "--volumes", ...containers]);
    if (dir) rmSync(dir, { recursive: true });
  });

  test("a second build takes seconds and builds nothing", async () => {
    lines.length = 0;
    const began = Date.now();
    await expect(build()).resolves.toEqual(references);
    expect(Date.now() - began).toBeLessThan(allowance(30_000));
    expect(lines.filter((line) => !line.endsWith("built before"))).toEqual([]);
  });

  test(
    "a build that fails shows its last lines, names its log",
    async () => {
      const broken = join(dir, "broken");
      cpSync(join(packageDir, "images"), join(broken, "images"), { recursive: true });
      writeFileSync(
        join(broken, "images", "edge", "Dockerfile"),
        "ARG BASE\nFROM $BASE\nRUN no-such-program\n",
      );
      lines.length = 0;
      const built = buildRecipes(["edge"], { projectDir: broken, docker, log: (line) => lines.push(line) });
      await expect(built).rejects.toThrow(/edge failed .* Read .gpubox\/log\/image-edge.log/);
      expect(lines.join("\n")).toMatch(/edge: \| .*no-such-program: not found/);
    },
    MINUTES,
  );

  test(
    "every role runs the programs, ids and majors that the plan counts on",
    async () => {
      const ids = await Promise.all(defaultRecipes.map((role) => inImage(role, "sh", "-c", "id -u; id -g")));
      expect(Object.fromEntries(defaultRecipes.map((role, index) => [role, ids[index]]))).toMatchObject({
        gateway: "65534\n65534",
        edge: "99\n99",
        cache: "999\n999",
        database: "999\n999",
      });
      await expect(inImage("edge", "haproxy", "-v")).resolves.toContain("HAProxy version 3.0.");
      await expect(inImage("cache", "redis-server", "-v")).resolves.toContain("v=8.");
      await expect(inImage("database", "postgres", "--version")).resolves.toContain("(PostgreSQL) 17.");
      await expect(inImage("gateway", "sh", "-c", "command -v litellm; command -v python3")).resolves.toBe(
        "/app/.venv/bin/litellm\n/app/.venv/bin/python3",
      );
    },
    2 * MINUTES,
  );

  test("a new volume for Postgres is owned by its user, so that no root is needed", async () => {
    const args = ["run", "--rm", "--volume", "/var/lib/postgresql/data", "--entrypoint", "stat"];
    const owner = output("docker", [
      ...args,
      references.database!,
      "-c",
      "%u:%g",
      "/var/lib/postgresql/data",
    ]);
    await expect(owner).resolves.toBe("999:999");
  });

  test(
    "LiteLLM starts as nobody on a read-only root and is ready",
    async () => {
      const key = "LITELLM_MASTER_KEY=sk-8f14e45fceea167a5a36dedd4bea2543";
      const env = ["LITELLM_MODE=PRODUCTION", "LITELLM_LOCAL_MODEL_COST_MAP=True", key];
      const url = await start(
        "gateway",
        4000,
        ["--tmpfs", "/tmp", ...env.flatMap((variable) => ["--env", variable])],
        ["--config", "/mnt/config.yaml", "--host", "0.0.0.0", "--port", "4000"],
      );
      await healthy(`${url}/health/readiness`);
    },
    2 * MINUTES,
  );

  describe("llama-server", () => {
    const serve = (...flags: string[]) =>
      start(
        "llamacpp",
        8080,
        ["--user", "65534:65534"],
        ["--model", "/mnt/canned.gguf", "--host", "0.0.0.0", "--port", "8080", ...flags],
      );
    const post = (url: string, body: object, headers = {}) =>
      fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify({ model: "any", max_tokens: 32, ...body }),
      });
    const messages = [{ role: "user", content: "ping" }];

    test(
      "it answers on the three protocols, plain and streamed, and its health check passes",
      async () => {
        const url = await serve("--alias", "canned", "--ctx-size", "2048", "--parallel", "2", "--jinja");
        await healthy(`${url}/health`);
        for (const [path, body] of [
          ["/v1/chat/completions", { messages }],
          ["/v1/completions", { prompt: "ping" }],
          ["/v1/messages", { messages }],
        ] as const) {
          const plain = await post(url + path, body);
          expect([path, plain.status, await plain.text()]).toEqual([
            path,
            200,
            expect.stringContaining("pong"),
          ]);
          const streamed = await post(url + path, { ...body, stream: true });
          expect(streamed.headers.get("content-type")).toContain("text/event-stream");
          expect((await streamed.text()).match(/^data: /gm)?.length).toBeGreaterThan(2);
        }
        const probe = ["exec", containers.at(-1)!, "curl", "-fsS", "http://127.0.0.1:8080/health"];
        await expect(output("docker", probe)).resolves.toContain("ok");
      },
      MINUTES,
    );

    test(
      "it requires its key when one is set, and closes UI and slots when told to",
      async () => {
        const url = await serve("--api-key", "k1,k2", "--no-webui", "--no-slots", "--metrics");
        await healthy(`${url}/health`);
        const status = async (path: string, key: string) =>
          (await fetch(url + path, { headers: { authorization: `Bearer ${key}` } })).status;
        expect(await status("/v1/models", "wrong")).toBe(401);
        expect(await status("/v1/models", "k2")).toBe(200);
        expect(await status("/metrics", "k1")).toBe(200);
        expect(await status("/slots", "k1")).toBe(501);
        expect(await status("/", "k1")).toBe(404);
      },
      MINUTES,
    );

    test(
      "SIGTERM ends it within seconds with exit code 0, in the middle of a stream",
      async () => {
        const url = await serve("--ctx-size", "32768", "--parallel", "1");
        await healthy(`${url}/health`);
        const endless = { prompt: "ping", stream: true, ignore_eos: true, max_tokens: 30_000 };
        const stream = await post(`${url}/v1/completions`, endless);
        await stream.body?.getReader().read();
        const began = Date.now();
        await output("docker", ["stop", "--time", "20", containers.at(-1)!]);
        expect(Date.now() - began).toBeLessThan(allowance(5000));
        const state = output("docker", ["inspect", "-f", "{{.State.ExitCode}}", containers.at(-1)!]);
        await expect(state).resolves.toBe("0");
      },
      MINUTES,
    );

    test.each([
      [["--model", "/nowhere.gguf"], "no such model file: /nowhere.gguf"],
      [["--bogus", "1"], "invalid argument: --bogus 1"],
      [["--model", "/x", "--port", "many"], "invalid value for --port: many"],
      [["--model", "/x", "--api-key-file", "/nowhere"], "--api-key-file: No such file or directory"],
      [[], "no model: give one with --model FILE"],
    ])(
      "%j is refused with one line and exit code 1",
      async (flags, line) => {
        const result = await run("docker", ["run", "--rm", references.llamacpp!, ...flags]);
        expect(result).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining(line) });
        expect(result.stderr.trim().split("\n")).toHaveLength(1);
      },
      MINUTES,
    );
  });
});
