import { output } from "../../platform/process";
import { allocate } from "../support/allocate";
import { changed, complete, containersOf, editStack, exportsIn, inShell, modelsAt } from "../support/box";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { pause } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("gen");
const ANSWER = "pong from the gpubox test model";
const HOLD_SECONDS = 6;

type Sections = Record<string, Record<string, unknown>>;

needs("docker", "pulumi")("generations of a gateway", () => {
  let project: TestProject;
  let exports: string[];
  let key: string;

  const shell = (command: string) => inShell(project, exports, command);
  const pulumiUp = () => shell(`pulumi up --yes --skip-preview --stack ${STACK}`);
  const edit = (change: (config: Sections) => void) =>
    editStack(project, (config) => change(config as unknown as Sections));

  beforeAll(async () => {
    project = makeProject(STACK, PORT, {
      database: { mode: "none" },
      models: { tiny: { engine: "llamacpp", model: "canned", memoryMiB: 1024, holdSeconds: HOLD_SECONDS } },
    });
    const up = await gpubox(project, "up", "--yes");
    expect(up.stderr).toBe("");
    exports = exportsIn(up.stdout);
    key = (await shell(`pulumi config get gpubox:masterKey --stack ${STACK}`)).stdout.trim();
  }, 20 * MINUTE);
  afterAll(() => removeProject(project));

  /** One request to a route of a protocol; the model is `tiny`. */
  async function ask(
    route: string,
    stream: boolean,
  ): Promise<{ status: number; retryAfter: string | null; body: string; seconds: number }> {
    const begun = Date.now();
    const answer = await fetch(`${project.endpoint}${route}`, {
      method: "POST",
      headers: { "x-api-key": key, "content-type": "application/json", "anthropic-version": "2023-06-01" },
      body: JSON.stringify({
        model: "tiny",
        max_tokens: 16,
        stream,
        messages: [{ role: "user", content: "ping" }],
      }),
    });
    const body = await answer.text();
    const seconds = (Date.now() - begun) / 1000;
    return { status: answer.status, retryAfter: answer.headers.get("retry-after"), body, seconds };
  }

  test(
    "a replaced gateway is stopped and not killed: it ends by itself after its drain",
    async () => {
      const before = await containersOf(STACK);
      const since = String(Math.floor(Date.now() / 1000));
      edit((config) => {
        (config["gpubox:models"]!.tiny as Record<string, unknown>).rpm = 1000;
      });
      expect((await pulumiUp()).code).toBe(0);
      const until = String(Math.ceil(Date.now() / 1000));
      const events = await output("docker", [
        ...["events", "--since", since, "--until", until],
        ...[
          "--filter",
          `container=${before.gateway}`,
          "--format",
          "{{.Action}} {{.Actor.Attributes.signal}} {{.Actor.Attributes.exitCode}}",
        ],
      ]);
      const lines = events.split("\n").map((line) => line.replaceAll("<no value>", "").trim());
      expect(lines.filter((line) => line.startsWith("kill"))).toEqual(["kill 15"]);
      // 143 is LiteLLM's own end after SIGTERM; a kill would be 137.
      expect(lines.filter((line) => line.startsWith("die"))).toEqual(["die  143"]);
    },
    5 * MINUTE,
  );

  test(
    "a dead backend is a 503 with Retry-After that names the model and the reason, on both protocols, after one hold",
    async () => {
      const { "backend-tiny": backend } = await containersOf(STACK);
      await output("docker", ["stop", "-t", "1", backend!]);
      const routes = ["/v1/chat/completions", "/v1/messages"];
      const answers = await Promise.all(routes.flatMap((route) => [ask(route, false), ask(route, true)]));
      for (const { status, retryAfter, body, seconds } of answers) {
        expect([status, retryAfter]).toEqual([503, "5"]);
        expect(body).toContain("Model tiny is not available: its backend is not answering");
        expect(seconds).toBeGreaterThan(HOLD_SECONDS - 1);
        expect(seconds).toBeLessThan(HOLD_SECONDS + 6);
      }
      await output("docker", ["start", backend!]);
    },
    2 * MINUTE,
  );

  test(
    "a request that comes while the backend restarts is held and answered",
    async () => {
      const { "backend-tiny": backend } = await containersOf(STACK);
      const stopped = output("docker", ["restart", "-t", "1", backend!]);
      await pause(500, "the backend is on its way down");
      expect(await complete(project.endpoint, key, "tiny")).toBe(ANSWER);
      await stopped;
    },
    MINUTE,
  );

  test(
    "a dead backend blocks nobody else's change",
    async () => {
      const { "backend-tiny": backend } = await containersOf(STACK);
      await output("docker", ["stop", "-t", "1", backend!]);
      edit((config) => {
        config["gpubox:gateway"]!.routing = { retries: 1 };
      });
      const before = await containersOf(STACK);
      const up = await pulumiUp();
      expect([up.code, up.stderr]).toEqual([0, ""]);
      expect(up.stdout).toContain("skipped: tiny is unchanged");
      expect(changed(before, await containersOf(STACK))).toEqual(["gateway"]);
      await output("docker", ["start", backend!]);
    },
    5 * MINUTE,
  );

  test(
    "the master key is rotated as a generation, and the previous one is valid while the config names it",
    async () => {
      const old = key;
      key = "sk-rotated-0123456789abcdefghijkl";
      await shell(`printf %s ${old} | pulumi config set --secret gpubox:previousMasterKey --stack ${STACK}`);
      await shell(`printf %s ${key} | pulumi config set --secret gpubox:masterKey --stack ${STACK}`);
      const seen = new Set<string>();
      let done = false;
      const asking = (async () => {
        while (!done) seen.add(await complete(project.endpoint, old, "tiny"));
      })();
      const up = await pulumiUp();
      done = true;
      await asking;
      expect([up.code, up.stderr]).toEqual([0, ""]);
      expect([...seen]).toEqual([ANSWER]);
      expect(await complete(project.endpoint, key, "tiny")).toBe(ANSWER);
      await shell(`pulumi config rm gpubox:previousMasterKey --stack ${STACK}`);
      expect((await pulumiUp()).code).toBe(0);
      expect(await complete(project.endpoint, old, "tiny")).toMatch(/^401 /);
    },
    5 * MINUTE,
  );

  test(
    "a reload applies another wait at the valve, and a new port of the edge is announced",
    async () => {
      const before = await containersOf(STACK);
      edit((config) => {
        (config["gpubox:models"]!.tiny as Record<string, unknown>).holdSeconds = 1;
      });
      expect((await pulumiUp()).code).toBe(0);
      expect(changed(before, await containersOf(STACK))).toEqual(["gateway"]);
      await output("docker", ["stop", "-t", "1", before["backend-tiny"]!]);
      const { status, seconds } = await ask("/v1/messages", false);
      expect(status).toBe(503);
      expect(seconds).toBeLessThan(HOLD_SECONDS - 1);
      await output("docker", ["start", before["backend-tiny"]!]);
      edit((config) => {
        config["gpubox:gateway"]!.port = PORT + 8;
      });
      const preview = await shell(`pulumi preview --stack ${STACK}`);
      expect(preview.stdout).toContain("The edge is replaced: for about 10 s nobody gets in");
      edit((config) => {
        config["gpubox:gateway"]!.port = PORT;
      });
    },
    3 * MINUTE,
  );

  test(
    "another salt key is refused at preview with the reason",
    async () => {
      const salt = (await shell(`pulumi config get gpubox:saltKey --stack ${STACK}`)).stdout.trim();
      await shell(
        `printf sk-another-salt-0123456789abc | pulumi config set --secret gpubox:saltKey --stack ${STACK}`,
      );
      const preview = await shell(`pulumi preview --stack ${STACK}`);
      expect(preview.code).not.toBe(0);
      expect(preview.stdout).toContain("The salt key is not the one that this stack began with");
      await shell(`printf %s ${salt} | pulumi config set --secret gpubox:saltKey --stack ${STACK}`);
    },
    MINUTE,
  );

  test(
    "two replicas serve one generation, and the death of one is not noticed",
    async () => {
      edit((config) => {
        config["gpubox:gateway"]!.replicas = 2;
      });
      const up = await pulumiUp();
      expect([up.code, up.stderr]).toEqual([0, ""]);
      const status = await output("docker", [
        "exec",
        `gpubox-${STACK}-edge`,
        "bash",
        "/etc/gpubox/switch.sh",
        "--status",
      ]);
      const serving = status.split("\n").filter((line) => line.includes(" serving "));
      expect(serving).toHaveLength(2);
      await output("docker", ["kill", serving[0]!.split(" ")[1]!]);
      for (let i = 0; i < 10; i++) expect(await complete(project.endpoint, key, "tiny")).toBe(ANSWER);
      edit((config) => {
        config["gpubox:gateway"]!.replicas = 1;
      });
      expect((await gpubox(project, "up")).code).toBe(0);
    },
    5 * MINUTE,
  );

  test(
    "a rollback serves the previous generation and restores its stack config",
    async () => {
      edit((config) => {
        (config["gpubox:models"]!.tiny as Record<string, unknown>).aliases = ["regretted"];
      });
      expect((await pulumiUp()).code).toBe(0);
      expect(await modelsAt(project.endpoint, key)).toEqual(["regretted", "tiny"]);
      const back = await gpubox(project, "rollback");
      expect([back.code, back.stderr]).toEqual([0, ""]);
      expect(await modelsAt(project.endpoint, key)).toEqual(["tiny"]);
      const preview = await shell(`pulumi preview --stack ${STACK} --expect-no-changes`);
      expect(preview.code).toBe(0);
    },
    5 * MINUTE,
  );
});
