import { join } from "node:path";
import type { Preview } from "../../operations/preview/types";
import { output, run } from "../../platform/process";
import { allocate } from "../support/allocate";
import { complete, containersOf, editStack, exportsIn, inShell, modelsAt } from "../support/box";
import { needs } from "../support/needs";
import {
  gpubox,
  makeProject,
  removeBox,
  removeProject,
  type TestProject,
  writeStack,
} from "../support/project";

const MINUTE = 60_000;
const ONE = allocate("box");
const TWO = allocate("over");
/** Of neither box. */
const NETWORK = `gpubox-${allocate("shared").stack}`;
const STUB = `gpubox-${ONE.stack}-stub`;
const EDGE = `gpubox-${ONE.stack}-edge`;
const ANSWER = "pong from the gpubox test model";
const small = { cache: { mode: "none" }, database: { mode: "none" } };

needs("docker", "pulumi")("a gateway stack over another box", () => {
  let box: TestProject;
  let gateway: TestProject;
  let exports: string[];
  let boxKey: string;
  let key: string;

  const shell = (command: string) => inShell(box, exports, command);
  const masterKey = async ({ stack }: TestProject) =>
    (await shell(`pulumi config get gpubox:masterKey --stack ${stack}`)).stdout.trim();

  async function mustUp(project: TestProject): Promise<string> {
    const { code, stdout, stderr } = await gpubox(project, "up", "--yes");
    expect([code, stderr]).toEqual([0, ""]);
    return stdout;
  }

  /** How often the other box was asked, by protocol. */
  async function asked(): Promise<{ chat: number; messages: number }> {
    const { stdout, stderr } = await run("docker", ["logs", EDGE]);
    const count = (route: string) => (stdout + stderr).split(`POST ${route}`).length - 1;
    return { chat: count("/v1/chat/completions"), messages: count("/v1/messages") };
  }

  /** What a container of others gets from a URL: its status. */
  const fromStub = (url: string) =>
    output("docker", [
      ...["exec", STUB, "python3", "-c"],
      "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=20).status)",
      url,
    ]);

  beforeAll(() => {
    box = makeProject(ONE.stack, ONE.port, {
      host: { dataDir: ONE.dataDir },
      gateway: { port: ONE.port, drainTimeout: 10, joinNetworks: { clients: [NETWORK] } },
      ...small,
      models: {
        tiny: {
          ...{ engine: "llamacpp", model: "canned", memoryMiB: 1024, threads: 1, parallel: 1 },
          aliases: ["local"],
        },
      },
    });
    // Of the same project: the gateway stack reads the other one's file.
    gateway = {
      ...{ ...box, stack: TWO.stack },
      ...{ dataDir: TWO.dataDir, endpoint: `http://127.0.0.1:${TWO.port}` },
    };
    removeBox(gateway);
    writeStack(gateway, {
      host: { dataDir: gateway.dataDir },
      gateway: { port: TWO.port, drainTimeout: 10, joinNetworks: { upstreams: [NETWORK] } },
      ...small,
      boxes: { one: { stack: ONE.stack, key: { secret: "oneKey" }, url: `http://${EDGE}:4000` } },
      models: { stub: { engine: "openai", baseUrl: `http://${STUB}:8000/a/v1`, start: "manual" } },
    });
  });
  afterAll(async () => {
    await run("docker", ["rm", "--force", STUB]);
    removeProject(gateway);
    removeProject(box);
    await run("docker", ["network", "rm", NETWORK]);
  }, MINUTE);

  test(
    "`up` refuses to join a missing network, and starts nothing",
    async () => {
      const { code, stderr } = await gpubox(box, "up", "--yes");
      expect(code).toBe(1);
      expect(stderr.replace(/\s+/g, " ")).toContain(
        `The host has no network ${NETWORK}, which gpubox:gateway.joinNetworks names. Bring up what it belongs to, or make it (\`docker network create ${NETWORK}\`), then run \`gpubox up --stack ${ONE.stack}\`.`,
      );
      expect(await containersOf(ONE.stack)).toEqual({});
    },
    20 * MINUTE,
  );

  test(
    "a foreign container reaches the edge by name on their common network",
    async () => {
      await output("docker", ["network", "create", NETWORK]);
      exports = exportsIn(await mustUp(box));
      boxKey = await masterKey(box);
      const { gateway: id } = await containersOf(ONE.stack);
      const image = await output("docker", ["inspect", "--format", "{{.Image}}", id!]);
      await output("docker", [
        ...["run", "--detach", "--name", STUB, "--network", NETWORK, "--user", "65534:65534"],
        ...["--volume", `${join(box.dir, "test", "support", "stub.py")}:/stub.py:ro`],
        ...["--entrypoint", "python3", image, "/stub.py"],
      ]);
      expect(await fromStub(`http://${EDGE}:4000/health/liveliness`)).toBe("200");
    },
    20 * MINUTE,
  );

  test(
    "the other box's key has to be set, and the message says where it is needed",
    async () => {
      const { code, stderr } = await gpubox(gateway, "up", "--yes");
      expect(code).toBe(1);
      expect(stderr).toContain(
        "gpubox:boxes.one.key: The secret oneKey is missing. Set it: pulumi config set --secret gpubox:oneKey.",
      );
      expect(await containersOf(TWO.stack)).toEqual({});
    },
    5 * MINUTE,
  );

  test(
    "a request goes through both gateways, on both protocols, and to a server in a foreign container",
    async () => {
      const set = await shell(
        `pulumi stack init ${TWO.stack} --secrets-provider passphrase && printf %s ${boxKey} | pulumi config set --secret gpubox:oneKey --stack ${TWO.stack}`,
      );
      expect(set).toMatchObject({ code: 0 });
      await mustUp(gateway);
      key = await masterKey(gateway);
      expect(key).not.toBe(boxKey);
      expect(await modelsAt(gateway.endpoint, key)).toEqual(["local", "stub", "tiny"]);
      expect(await complete(gateway.endpoint, key, "tiny")).toBe(ANSWER);
      expect(await complete(gateway.endpoint, key, "local")).toBe(ANSWER);
      expect(await complete(gateway.endpoint, key, "stub")).toBe("said by a");

      const before = await asked();
      const answer = await fetch(`${gateway.endpoint}/v1/messages`, {
        method: "POST",
        headers: { "x-api-key": key, "anthropic-version": "2023-06-01", "content-type": "application/json" },
        body: JSON.stringify({
          ...{ model: "tiny", max_tokens: 32 },
          messages: [{ role: "user", content: "ping" }],
        }),
      });
      expect([answer.status, ((await answer.json()) as { content: unknown }).content]).toEqual([
        200,
        [expect.objectContaining({ type: "text", text: ANSWER })],
      ]);
      // Passed on as it is: the other gateway got that protocol too.
      const { chat, messages } = await asked();
      expect({ chat, messages }).toEqual({ chat: before.chat, messages: before.messages + 1 });
    },
    20 * MINUTE,
  );

  test(
    "neither the foreign network nor its containers are drift",
    async () => {
      const said = await Promise.all([box, gateway].map((project) => gpubox(project, "drift")));
      expect(said.map(({ code, stdout }) => [code, stdout])).toEqual(
        [ONE, TWO].map(({ stack }) => [0, `The stack ${stack} is on its host as planned.\n`]),
      );
    },
    5 * MINUTE,
  );

  test(
    "a change of the other box's file is a change of the gateway stack, as its preview says",
    async () => {
      editStack(box, (config: Record<string, { tiny: { aliases: string[] } }>) => {
        config["gpubox:models"]!.tiny.aliases = ["local", "more"];
      });
      const { stdout } = await gpubox(gateway, "preview", "--json");
      const { models, containers } = JSON.parse(stdout) as Preview;
      expect(models).toEqual([
        {
          ...{ model: "tiny", change: "changed", what: "openai" },
          fields: [{ path: "gpubox:models.tiny.aliases", before: '["local"]', after: '["local","more"]' }],
        },
      ]);
      expect(containers.map(({ container, action, how }) => [container, action, how])).toEqual([
        ["gateway", "replaced", "start-first"],
      ]);
      const up = await shell(`pulumi up --yes --skip-preview --stack ${TWO.stack}`);
      expect([up.code, up.stderr]).toEqual([0, ""]);
      // The gateway stack asks for it by the model's own name, so that it serves it before the other box does.
      expect(await complete(gateway.endpoint, key, "more")).toBe(ANSWER);
    },
    20 * MINUTE,
  );

  test(
    "the foreign network stays when the box goes",
    async () => {
      const { code, stderr } = await gpubox(gateway, "down", "--yes");
      expect([code, stderr]).toEqual([0, ""]);
      expect(await containersOf(TWO.stack)).toEqual({});
      expect(await fromStub(`http://${EDGE}:4000/health/liveliness`)).toBe("200");
    },
    10 * MINUTE,
  );
});
