import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { run } from "../../platform/process";
import { allocate } from "../support/allocate";
import { complete, containersOf, editStack, exportsIn, inShell, masterKeyOf, modelsAt } from "../support/box";
import { FarServer } from "../support/farServer";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("gw");
const far = new FarServer(STACK);

/** A file of a user's, as people write them for LiteLLM. */
const AUDIT = `from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.integrations.custom_logger import CustomLogger


class Audit(CustomLogger):
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        print("audited", kwargs["litellm_params"]["metadata"]["model_group"], flush=True)


class Filter(CustomGuardrail):
    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        if "redbird" in str(data.get("messages")):
            raise ValueError("no redbird here")
        return data


handler = Audit()
`;

/** A request with a body in chunks that goes on like more requests, sent as a whole or broken off. Says nothing of its answer. */
function sendOdd(url: string, method: string, key: string, bytes: number, breaks: boolean): Promise<void> {
  return new Promise((resolve) => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const sent = request(url, { method, headers, agent: false, timeout: 30_000 }, (answer) => {
      answer.resume();
      answer.on("close", resolve);
    });
    sent.on("error", () => resolve()).on("close", resolve);
    const hidden = "GET /health/liveliness HTTP/1.1\r\nHost: gateway\r\n\r\n";
    sent.write(hidden.repeat(Math.ceil(bytes / hidden.length)));
    if (breaks) sent.destroy();
    else sent.end();
  });
}

type Sections = Record<string, Record<string, unknown>>;

/** Status and body of a request with exactly these header fields: fetch would set Host itself. */
function ask(url: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers, timeout: 30_000 }, (answer) => {
      let body = "";
      answer.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    sent.on("error", reject).end();
  });
}

needs("docker", "pulumi")("the gateway and its edge", () => {
  let project: TestProject;
  let exports: string[];
  let masterKey: string;

  const pulumiUp = () => inShell(project, exports, `pulumi up --yes --skip-preview --stack ${STACK}`);
  const setFarKey = async (key: string) => {
    const set = `printf %s '${key}' | pulumi config set --secret gpubox:farKey --stack ${STACK}`;
    expect((await inShell(project, exports, set)).code).toBe(0);
  };
  const gatewayLog = async () => (await run("docker", ["logs", (await containersOf(STACK)).gateway!])).stdout;
  /** Status and body of a request to the model `far`. */
  const say = async (route: string, content: string): Promise<[number, string]> => {
    const answer = await fetch(`${project.endpoint}/v1/${route}`, {
      method: "POST",
      headers: { authorization: `Bearer ${masterKey}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "far", max_tokens: 8, messages: [{ role: "user", content }] }),
    });
    return [answer.status, await answer.text()];
  };
  const edit = (change: (config: Sections) => void) =>
    editStack(project, (config) => change(config as unknown as Sections));

  beforeAll(async () => {
    project = makeProject(STACK, PORT, { cache: { mode: "none" }, database: { mode: "none" }, models: {} });
    edit((config) => {
      config["gpubox:gateway"]!.auth = "none";
    });
    const up = await gpubox(project, "up", "--yes");
    expect(up.stderr).toBe("");
    exports = exportsIn(up.stdout);
    masterKey = await masterKeyOf(project, exports);
    await far.start(project);
  }, 20 * MINUTE);
  afterAll(async () => {
    await far.remove();
    removeProject(project);
  });

  test("a box without stores and models is an edge and a gateway", async () => {
    expect(Object.keys(await containersOf(STACK)).sort()).toEqual(["edge", "gateway"]);
    expect(await modelsAt(project.endpoint, "none")).toEqual([]);
  });

  test(
    "a server that already runs is served under the entry's name, with its key from a secret",
    async () => {
      await setFarKey(far.key);
      edit((config) => {
        config["gpubox:models"] = {
          far: {
            engine: "openai",
            baseUrl: `${far.url}/v1`,
            model: "far-name",
            apiKey: { secret: "farKey" },
          },
        };
      });
      const up = await pulumiUp();
      expect([up.code, up.stderr]).toEqual([0, ""]);
      expect(await complete(project.endpoint, "any", "far")).toBe(far.answer);
    },
    5 * MINUTE,
  );

  test("without keys a client of this host needs none, and a web page of another host is refused", async () => {
    expect((await ask(`${project.endpoint}/v1/models`)).status).toBe(200);
    expect((await ask(`${project.endpoint}/v1/models`, { origin: "https://evil.example" })).status).toBe(403);
  });

  test("the clients' port serves inference only, and the admin port asks for the key", async () => {
    const admin = `http://127.0.0.1:${PORT + 1}`;
    expect((await ask(`${project.endpoint}/key/list`)).status).toBe(404);
    expect((await ask(`${project.endpoint}/v1/../key/list`)).status).not.toBe(200);
    expect((await ask(`${admin}/model/info`)).status).not.toBe(200);
    expect((await ask(`${admin}/model/info`, { authorization: `Bearer ${masterKey}` })).status).toBe(200);
    expect((await ask(`${admin}/health/drain`, { authorization: `Bearer ${masterKey}` })).status).toBe(404);
  });

  test(
    "a host name that is not listed is refused, and listing it needs neither a new edge nor a new gateway",
    async () => {
      const named = { host: `framework:${PORT}` };
      expect((await ask(`${project.endpoint}/v1/models`, named)).status).toBe(421);
      const before = await containersOf(STACK);
      edit((config) => {
        config["gpubox:gateway"]!.hosts = ["framework"];
      });
      expect((await pulumiUp()).code).toBe(0);
      expect((await ask(`${project.endpoint}/v1/models`, named)).status).toBe(200);
      expect(await containersOf(STACK)).toEqual(before);
    },
    5 * MINUTE,
  );

  test(
    "a model whose key is wrong is refused with the reason, and what served before keeps serving",
    async () => {
      await setFarKey("wrong-key-0123456789");
      const up = await pulumiUp();
      expect(up.code).not.toBe(0);
      expect(up.stdout + up.stderr).toContain("Model far refused a chat request: status 401");
      expect(await complete(project.endpoint, "any", "far")).toBe(far.answer);
    },
    5 * MINUTE,
  );

  test(
    "a callback and a guardrail of the user's file run, LiteLLM's own guardrail blocks, and a route passes through, with keys on",
    async () => {
      writeFileSync(join(project.dir, "audit.py"), AUDIT);
      // With the right key again the same `up` goes through.
      await setFarKey(far.key);
      edit((config) => {
        Object.assign(config["gpubox:gateway"]!, {
          auth: "key",
          modules: { audit: "./audit.py" },
          settings: { litellm: { callbacks: ["audit.handler"] } },
          guardrails: {
            own: { guardrail: "audit.Filter", mode: "pre_call" },
            words: {
              guardrail: "litellm_content_filter",
              mode: "pre_call",
              params: { blocked_words: [{ keyword: "bluebird", action: "BLOCK" }] },
            },
          },
          passThrough: {
            "/farside": { target: far.url, apiKey: { secret: "farKey" }, subpaths: true, methods: ["GET"] },
          },
        });
      });
      const up = await pulumiUp();
      expect([up.code, up.stderr]).toEqual([0, ""]);
      expect(up.stdout).toContain("proven: guards with own, words");

      expect(await complete(project.endpoint, masterKey, "far")).toBe(far.answer);
      await until("the callback has run", async () => (await gatewayLog()).includes("audited far"));
      for (const route of ["chat/completions", "messages"]) {
        expect(await say(route, "tell me of bluebird")).toEqual([400, expect.stringContaining("bluebird")]);
        expect(await say(route, "tell me of redbird")).toEqual([
          500,
          expect.stringContaining("no redbird here"),
        ]);
        expect((await say(route, "tell me of blackbird"))[0]).toBe(200);
      }

      const authorized = { authorization: `Bearer ${masterKey}` };
      const listed = await ask(`${project.endpoint}/farside/v1/models`, authorized);
      expect([listed.status, listed.body]).toEqual([200, expect.stringContaining("far-name")]);
      expect((await ask(`${project.endpoint}/farsides`, authorized)).status).toBe(404);
    },
    5 * MINUTE,
  );

  test("with keys on, a request without one is refused and one with the master key is answered", async () => {
    expect((await ask(`${project.endpoint}/v1/models`)).status).toBe(401);
    expect((await ask(`${project.endpoint}/farside/v1/models`)).status).toBe(401);
    expect(
      (await ask(`${project.endpoint}/v1/models`, { authorization: `Bearer ${masterKey}` })).status,
    ).toBe(200);
    expect((await ask(`${project.endpoint}/v1/models`, { "x-api-key": masterKey })).status).toBe(200);
  });

  test("a body that nobody reads, or that breaks off, is not taken for the next request on its kept connection", async () => {
    const routes = [
      "GET /v1/models",
      "POST /v1/models",
      "POST /v1/chat/completions",
      "DELETE /v1/responses/x",
    ];
    const odd = routes.flatMap((route) =>
      [64, 70_000, 1_000_000].flatMap((bytes) => [false, true].map((breaks) => ({ route, bytes, breaks }))),
    );
    const after: Record<string, [number, string]> = {};
    for (const { route, bytes, breaks } of odd) {
      const [method, path] = route.split(" ") as [string, string];
      await sendOdd(`${project.endpoint}${path}`, method, masterKey, bytes, breaks);
      const { status, body } = await ask(`${project.endpoint}/v1/models`, {
        authorization: `Bearer ${masterKey}`,
      });
      after[`${route} ${bytes} ${breaks}`] = [status, JSON.parse(body).object];
    }
    expect(new Set(Object.values(after).map(String))).toEqual(new Set(["200,list"]));
    expect(Object.keys(after)).toHaveLength(24);
    expect(await complete(project.endpoint, masterKey, "far")).toBe(far.answer);
  });

  test("a closed route of a model API is not called one of admins", async () => {
    const authorized = { authorization: `Bearer ${masterKey}` };
    const images = await ask(`${project.endpoint}/v1/images/generations`, authorized);
    expect([images.status, images.body]).toEqual([404, expect.stringContaining("No model here answers")]);
    expect(images.body).not.toContain("Admin");
    expect((await ask(`${project.endpoint}/key/list`, authorized)).body).toContain("Admin routes");
  });

  test(
    "a module that Python cannot load is told with its own words, and what served before keeps serving",
    async () => {
      const path = join(project.dir, "audit.py");
      writeFileSync(path, `raise RuntimeError("no collector")\n${AUDIT}`);
      const up = await pulumiUp();
      writeFileSync(path, AUDIT);
      expect(up.code).not.toBe(0);
      expect(up.stdout + up.stderr).toContain("no collector");
      expect(up.stdout + up.stderr).toContain("what served before goes on");
      expect(await complete(project.endpoint, masterKey, "far")).toBe(far.answer);
    },
    5 * MINUTE,
  );
});
