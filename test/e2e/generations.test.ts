import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, type RunResult } from "../../platform/process";
import { allocate } from "../support/allocate";
import { allowance } from "../support/allowance";
import {
  changed,
  complete,
  containersOf,
  editStack,
  exportsIn,
  inShell,
  masterKeyOf,
  modelsAt,
} from "../support/box";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { pause, until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("gen");
const ANSWER = "pong from the gpubox test model";
const HOLD_SECONDS = 6;

type Sections = Record<string, Record<string, unknown>>;

needs("docker", "pulumi")("generations of a gateway", () => {
  let project: TestProject;
  let exports: string[];
  let key: string;
  /** The master key before its rotation. */
  let previous: string;

  const shell = (command: string) => inShell(project, exports, command);
  const pulumiUp = () => shell(`pulumi up --yes --skip-preview --stack ${STACK}`);
  const edit = (change: (config: Sections) => void) =>
    editStack(project, (config) => change(config as unknown as Sections));

  beforeAll(async () => {
    const canned = { engine: "llamacpp", model: "canned", memoryMiB: 1024, threads: 1 };
    project = makeProject(STACK, PORT, {
      database: { mode: "none" },
      models: {
        tiny: { ...canned, holdSeconds: HOLD_SECONDS },
        giant: { ...canned, start: "manual" },
      },
    });
    const up = await gpubox(project, "up", "--yes");
    expect(up.stderr).toBe("");
    exports = exportsIn(up.stdout);
    key = await masterKeyOf(project, exports);
  }, 20 * MINUTE);
  afterAll(() => removeProject(project));

  /** One request to a route of a protocol. */
  async function ask(
    route: string,
    stream: boolean,
    model = "tiny",
  ): Promise<{ status: number; retryAfter: string | null; body: string; seconds: number }> {
    const begun = Date.now();
    const answer = await fetch(`${project.endpoint}${route}`, {
      method: "POST",
      headers: { "x-api-key": key, "content-type": "application/json", "anthropic-version": "2023-06-01" },
      body: JSON.stringify({ model, max_tokens: 16, stream, messages: [{ role: "user", content: "ping" }] }),
    });
    const body = await answer.text();
    const seconds = (Date.now() - begun) / 1000;
    return { status: answer.status, retryAfter: answer.headers.get("retry-after"), body, seconds };
  }

  test("a request that comes while the backend restarts is held and answered", async () => {
    const { "backend-tiny": backend } = await containersOf(STACK);
    const stopped = output("docker", ["restart", "-t", "1", backend!]);
    await pause(500, "the backend is on its way down");
    expect(await complete(project.endpoint, key, "tiny")).toBe(ANSWER);
    await stopped;
  });

  test("a model that people start is a 503 at once until they do, with the command that starts it", async () => {
    const { status, retryAfter, body, seconds } = await ask("/v1/chat/completions", false, "giant");
    expect([status, retryAfter]).toEqual([503, "5"]);
    expect(body).toContain(`gpubox model start giant --stack ${STACK}`);
    expect(seconds).toBeLessThan(allowance(3));
  });

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
        expect(seconds).toBeLessThan(HOLD_SECONDS + allowance(6));
      }
    },
    2 * MINUTE,
  );

  describe("a change while the backend is dead", () => {
    let up: RunResult;
    let before: Record<string, string>;
    let after: Record<string, string>;
    let since: string;

    beforeAll(async () => {
      before = await containersOf(STACK);
      since = String(Math.floor(Date.now() / 1000));
      edit((config) => {
        config["gpubox:gateway"]!.routing = { retries: 1 };
        (config["gpubox:models"]!.giant as Record<string, unknown>).aliases = ["regretted"];
      });
      up = await pulumiUp();
      after = await containersOf(STACK);
    }, 5 * MINUTE);

    test("is not blocked, and replaces the gateway only", () => {
      expect([up.code, up.stderr]).toEqual([0, ""]);
      expect(up.stdout).toContain("skipped: tiny is unchanged");
      expect(changed(before, after)).toEqual(["gateway"]);
      expect(Object.keys(after)).not.toContain("backend-tiny");
    });

    test("stops the replaced gateway and does not kill it: it ends by itself after its drain", async () => {
      const now = String(Math.ceil(Date.now() / 1000));
      const format = "{{.Action}} {{.Actor.Attributes.signal}} {{.Actor.Attributes.exitCode}}";
      const events = await output("docker", [
        ...["events", "--since", since, "--until", now],
        ...["--filter", `container=${before.gateway}`, "--format", format],
      ]);
      const lines = events.split("\n").map((line) => line.replaceAll("<no value>", "").trim());
      expect(lines.filter((line) => line.startsWith("kill"))).toEqual(["kill 15"]);
      // 143 is LiteLLM's own end after SIGTERM; a kill would be 137.
      expect(lines.filter((line) => line.startsWith("die"))).toEqual(["die  143"]);
    });

    test(
      "is taken back by a rollback, which serves the previous generation and restores its stack config",
      async () => {
        expect(await modelsAt(project.endpoint, key)).toEqual(["giant", "regretted", "tiny"]);
        await output("docker", ["start", `gpubox-${STACK}-backend-tiny`]);
        const back = await gpubox(project, "rollback");
        expect([back.code, back.stderr]).toEqual([0, ""]);
        expect(await modelsAt(project.endpoint, key)).toEqual(["giant", "tiny"]);
        const preview = await shell(`pulumi preview --stack ${STACK} --expect-no-changes`);
        expect(preview.code).toBe(0);
      },
      5 * MINUTE,
    );
  });

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
        while (!done) {
          seen.add(await complete(project.endpoint, old, "tiny"));
          await pause(200, "a client that asks on and on, and not a load");
        }
      })();
      const up = await pulumiUp();
      done = true;
      await asking;
      expect([up.code, up.stderr]).toEqual([0, ""]);
      expect([...seen]).toEqual([ANSWER]);
      expect(await complete(project.endpoint, key, "tiny")).toBe(ANSWER);
      previous = old;
    },
    5 * MINUTE,
  );

  test(
    "the previous key is refused once the config names it no more",
    async () => {
      const before = await containersOf(STACK);
      edit((config) => {
        delete config["gpubox:previousMasterKey"];
        (config["gpubox:models"]!.tiny as Record<string, unknown>).holdSeconds = 1;
      });
      expect((await pulumiUp()).code).toBe(0);
      expect(changed(before, await containersOf(STACK))).toEqual(["gateway"]);
      expect(await complete(project.endpoint, previous, "tiny")).toMatch(/^401 /);
    },
    5 * MINUTE,
  );

  test("a reload applied another wait at the valve", async () => {
    const backend = `gpubox-${STACK}-backend-tiny`;
    await output("docker", ["start", backend]);
    // A gateway's first request on a route loads code of LiteLLM.
    await until("tiny serves", async () => (await ask("/v1/messages", false)).status === 200);
    await output("docker", ["stop", "-t", "1", backend]);
    const { status, seconds } = await ask("/v1/messages", false);
    expect(status).toBe(503);
    expect(seconds).toBeLessThan(HOLD_SECONDS - 1);
  });

  test("a model that people start serves once they did", async () => {
    const started = await gpubox(project, "model", "start", "giant");
    expect([started.code, started.stderr]).toEqual([0, ""]);
    expect(await complete(project.endpoint, key, "giant")).toBe(ANSWER);
  });

  test(
    "a preview announces a new port of the edge, and refuses another salt key with the reason",
    async () => {
      const file = join(project.dir, `Pulumi.${STACK}.yaml`);
      const good = readFileSync(file, "utf8");
      edit((config) => {
        config["gpubox:gateway"]!.port = PORT + 8;
      });
      const announced = await shell(`pulumi preview --stack ${STACK}`);
      expect(announced.stdout).toContain("The edge is replaced: for about 10 s nobody gets in");
      writeFileSync(file, good);
      const set = `pulumi config set --secret gpubox:saltKey --stack ${STACK}`;
      const preview = await shell(
        `printf sk-another-salt-0123456789abc | ${set}; pulumi preview --stack ${STACK}`,
      );
      expect(preview.code).not.toBe(0);
      expect(preview.stdout).toContain("The salt key is not the one that this stack began with");
    },
    MINUTE,
  );
});
