import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { ModelServer, type ModelServerArgs } from "../../program";
import { everyImage } from "../support/engines";
import { isSecret, registered } from "../support/mocks";
import { testSecrets } from "../support/stacks";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-server-"));
  mkdirSync(join(dir, ".gpubox"));
  writeFileSync(join(dir, ".gpubox/resolved.test.json"), JSON.stringify(everyImage));
});
afterAll(() => rmSync(dir, { recursive: true }));

/** Nobody answers there: what is planned and registered needs no engine. */
const host = { docker: "unix:///nonexistent/docker.sock", dataDir: "/srv/gpubox-test" };
const models = { tiny: { engine: "llamacpp", model: "file:///srv/models/tiny.gguf", aliases: ["small"] } };
const args = (more: Partial<ModelServerArgs> = {}): ModelServerArgs => ({
  host,
  models,
  secrets: testSecrets,
  projectDir: dir,
  ...more,
});

test("a model server is one component that contains a box and outputs its addresses and models", async () => {
  let server: ModelServer | undefined;
  const all = await registered(() => {
    server = new ModelServer("ours", args({ gateway: { port: 4100 } }));
    return server;
  });
  expect(all.filter(({ parent }) => parent === "").map(({ type, name }) => [type, name])).toEqual(
    expect.arrayContaining([["gpubox:index:ModelServer", "ours"]]),
  );
  const box = all.filter(({ type }) => type === "gpubox:index:Box");
  expect(box.map(({ name, parent }) => [name, parent])).toEqual([["gpubox-test", "ours"]]);
  const shown = new Promise((resolve) =>
    pulumi.all([server!.endpoint, server!.adminEndpoint, server!.models]).apply(resolve),
  );
  expect(await shown).toEqual(["http://127.0.0.1:4100", "http://127.0.0.1:4101", ["tiny", "small"]]);
});

test("two boxes of one program have different names", async () => {
  const all = await registered(() => {
    new ModelServer("one", args());
    return new ModelServer("two", args({ box: "other", gateway: { port: 4200 } }));
  });
  const containers = all.filter(({ type }) => type === "docker:index/container:Container");
  const edges = containers.filter(({ name }) => name.endsWith("-edge")).map(({ inputs }) => inputs.name);
  expect(edges.sort()).toEqual(["gpubox-other-edge", "gpubox-test-edge"]);
  expect(new Set(containers.map(({ name }) => name)).size).toBe(containers.length);
});

test("the values of secrets go into the engine as secrets only", async () => {
  const all = await registered(() => new ModelServer("ours", args()));
  const plain = JSON.stringify(
    all.map(({ inputs }) =>
      Object.fromEntries(Object.entries(inputs).map(([key, value]) => [key, isSecret(value) ? "" : value])),
    ),
  );
  expect(plain).not.toContain("PLANTED");
});

/** The message that Pulumi shows, of a program that ends before its first resource. */
async function refused(more: Partial<ModelServerArgs>): Promise<string> {
  let message = "";
  const all = await registered(() => {
    try {
      return new ModelServer("ours", args(more));
    } catch (error) {
      expect(error).toBeInstanceOf(pulumi.RunError);
      message = (error as Error).message;
      return new pulumi.ComponentResource("test:index:Nothing", "nothing");
    }
  });
  expect(all.filter(({ type }) => type.startsWith("docker:"))).toEqual([]);
  return message;
}

test("mistakes are shown all at once, each with its path, without a stack trace", async () => {
  const message = await refused({
    gateway: { port: 0 },
    models: { tiny: { engine: "llamacp", model: "file:///srv/models/tiny.gguf" } },
  });
  expect(message).toContain("2 mistakes");
  expect(message).toContain("gpubox:gateway.port");
  expect(message).toContain("gpubox:models.tiny.engine");
});

test("a secret that is missing is named", async () => {
  const { saltKey, ...others } = testSecrets;
  expect(saltKey).toBeDefined();
  expect(await refused({ secrets: others })).toContain("saltKey");
});
