import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { type StackOutputs, stackProgram } from "../../program";
import { everyImage } from "../support/engines";
import { type Registered, registered } from "../support/mocks";
import { testSecrets } from "../support/stacks";

const secretKeys = process.env.PULUMI_CONFIG_SECRET_KEYS;
const { warn } = pulumi.log;
let dir: string;
let warned: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-cluster-"));
  mkdirSync(join(dir, ".gpubox"));
  writeFileSync(join(dir, ".gpubox/resolved.test.json"), JSON.stringify(everyImage));
  warned = [];
  Object.assign(pulumi.log, { warn: async (text: string) => warned.push(text) });
});

afterEach(() => {
  rmSync(dir, { recursive: true });
  Object.assign(pulumi.log, { warn });
  pulumi.runtime.setAllConfig({});
  if (secretKeys === undefined) delete process.env.PULUMI_CONFIG_SECRET_KEYS;
  else process.env.PULUMI_CONFIG_SECRET_KEYS = secretKeys;
});

const models = {
  tiny: {
    ...{ engine: "llamacpp", model: "file:///srv/models/tiny.gguf", memoryMiB: 2048 },
    kubernetes: { weights: { claim: "models" } },
  },
};
/** Nobody answers there: a cluster needs no engine. */
const host = { docker: "unix:///nonexistent/docker.sock" };

/** Runs the program as Pulumi does, with sections as JSON text. */
async function run(
  sections: Record<string, unknown>,
): Promise<{ all: Registered[]; outputs?: StackOutputs; error?: unknown }> {
  const plain = Object.entries({ host, models, ...sections }).map(([name, value]) => [
    `gpubox:${name}`,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  const secret = Object.entries(testSecrets).map(([name, value]) => [`gpubox:${name}`, value]);
  process.env.PULUMI_CONFIG_SECRET_KEYS = JSON.stringify(secret.map(([name]) => name));
  let outputs: StackOutputs | undefined;
  let error: unknown;
  const all = await registered(() => {
    pulumi.runtime.setAllConfig(Object.fromEntries([...plain, ...secret]));
    try {
      outputs = stackProgram(dir);
    } catch (thrown) {
      error = thrown;
    }
  });
  return { all, outputs, error };
}

test("a stack whose target is a cluster makes its objects and the record, and nothing of Docker's", async () => {
  const { all, outputs, error } = await run({ target: "kubernetes", kubernetes: { context: "lab" } });
  expect(error).toBeUndefined();
  expect(all.filter(({ type }) => type.startsWith("docker:"))).toEqual([]);
  expect(all.filter(({ parent }) => parent === "").map(({ type, name }) => `${type} ${name}`)).toEqual(
    expect.arrayContaining(["gpubox:index:Cluster gpubox-test", "command:local:Command record"]),
  );
  expect(all.filter(({ type }) => type === "command:local:Command").map(({ name }) => name)).toEqual([
    "record",
  ]);
  expect(all.find(({ name }) => name === "record")!.dependsOn).toEqual(
    expect.arrayContaining(["gpubox-test-edge", "gpubox-test-gateway"]),
  );
  expect(outputs).toMatchObject({
    endpoint: "http://edge.gpubox-test.svc.cluster.local:4000",
    models: ["tiny"],
    ports: {},
  });
});

test("what it loses there is said once: the first time, and later what a change adds", async () => {
  const stack = { target: "kubernetes", kubernetes: { context: "lab" } };
  const told = () => {
    const texts = warned.filter((text) => text.startsWith("Compared with a box on Docker it loses:\n- "));
    warned = [];
    return texts.map((text) => text.split("\n- ").slice(1));
  };
  const { all } = await run(stack);
  const [first, ...more] = told();
  expect([first!.length > 3, more]).toEqual([true, []]);
  await run(stack);
  // No `up` is done as long as nothing is recorded.
  expect(told()).toEqual([first]);
  const { stdin } = all.find(({ name }) => name === "record")!.inputs as { stdin: string };
  writeFileSync(join(dir, ".gpubox/deployed.test.json"), stdin);
  await run(stack);
  expect(told()).toEqual([]);
  await run({ ...stack, kubernetes: { ...stack.kubernetes, service: { type: "LoadBalancer" } } });
  expect(told()).toEqual([
    [expect.stringMatching(/^Clients outside the cluster send their keys in plain text/)],
  ]);
});

test("what only one host can do ends the program before its first resource, with paths and without a stack trace", async () => {
  const { all, error } = await run({
    target: "kubernetes",
    kubernetes: {},
    gateway: { joinNetworks: { clients: ["proxy"] } },
  });
  expect(error).toBeInstanceOf(pulumi.RunError);
  expect((error as Error).message).toContain("2 mistakes");
  expect((error as Error).message).toContain("gpubox:kubernetes.context");
  expect((error as Error).message).toContain("gpubox:gateway.joinNetworks.clients");
  expect(all.filter(({ type }) => type !== "pulumi:pulumi:Stack")).toEqual([]);
});
