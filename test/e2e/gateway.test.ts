import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { cannedModel } from "../../tools/cannedModel";
import { allocate } from "../support/allocate";
import { complete, containersOf, editStack, exportsIn, inShell, modelsAt } from "../support/box";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("gw");
const FAR = `gpubox-${STACK}-far`;
const FAR_KEY = "sk-far-0123456789abcdefghij";

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
    for (const [name, value] of Object.entries({ farKey: key, farHeader: `Bearer ${key}` })) {
      const set = `printf %s '${value}' | pulumi config set --secret gpubox:${name} --stack ${STACK}`;
      expect((await inShell(project, exports, set)).code).toBe(0);
    }
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
    masterKey = (
      await inShell(project, exports, `pulumi config get gpubox:masterKey --stack ${STACK}`)
    ).stdout.trim();
    const model = join(project.dir, "far.gguf");
    writeFileSync(model, cannedModel({ answer: "hello from far away" }), { mode: 0o644 });
    await output("docker", [
      ...["run", "-d", "--name", FAR, "--network", `gpubox-${STACK}-edge`, "-v", `${model}:/far.gguf:ro`],
      ...["--entrypoint", "/app/llama-server", recipeReference(packageDir, "llamacpp")],
      ...[
        "--model",
        "/far.gguf",
        "--alias",
        "far-name",
        "--host",
        "0.0.0.0",
        "--port",
        "9000",
        "--api-key",
        FAR_KEY,
      ],
    ]);
  }, 20 * MINUTE);
  afterAll(async () => {
    await run("docker", ["rm", "-f", FAR]);
    removeProject(project);
  });

  test("a box without stores and models is an edge and a gateway", async () => {
    expect(Object.keys(await containersOf(STACK)).sort()).toEqual(["edge", "gateway"]);
    expect(await modelsAt(project.endpoint, "none")).toEqual([]);
  });

  test(
    "a server that already runs is served under the entry's name, with its key from a secret, also in a header field",
    async () => {
      await setFarKey(FAR_KEY);
      edit((config) => {
        config["gpubox:models"] = {
          far: {
            engine: "openai",
            baseUrl: `http://${FAR}:9000/v1`,
            model: "far-name",
            apiKey: { secret: "farKey" },
          },
          "far-header": {
            engine: "openai",
            baseUrl: `http://${FAR}:9000/v1`,
            model: "far-name",
            params: { extra_headers: { authorization: { secret: "farHeader" } } },
          },
        };
      });
      const up = await pulumiUp();
      expect([up.code, up.stderr]).toEqual([0, ""]);
      for (const name of ["far", "far-header"])
        expect(await complete(project.endpoint, "any", name)).toBe("hello from far away");
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
      expect(await complete(project.endpoint, "any", "far")).toBe("hello from far away");
    },
    5 * MINUTE,
  );

  test(
    "with keys on, a request without one is refused and one with the master key is answered",
    async () => {
      edit((config) => {
        config["gpubox:gateway"]!.auth = "key";
      });
      // With the right key again the same `up` goes through.
      await setFarKey(FAR_KEY);
      expect((await pulumiUp()).code).toBe(0);
      expect((await ask(`${project.endpoint}/v1/models`)).status).toBe(401);
      expect(
        (await ask(`${project.endpoint}/v1/models`, { authorization: `Bearer ${masterKey}` })).status,
      ).toBe(200);
      expect((await ask(`${project.endpoint}/v1/models`, { "x-api-key": masterKey })).status).toBe(200);
    },
    5 * MINUTE,
  );
});
