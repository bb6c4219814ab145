import * as pulumi from "@pulumi/pulumi";
import { Box } from "../../components/Box";
import { boxOf, locked } from "../support/engines";
import { isSecret, type Registered, registered } from "../support/mocks";
import { testSecrets } from "../support/stacks";

const CONTAINER = "docker:index/container:Container";
const COMMAND = "command:local:Command";

let all: Registered[];

beforeAll(async () => {
  const { plan } = boxOf({
    engine: "vllm",
    model: "hf://Qwen/Qwen3-8B",
    instances: [{ gpu: { devices: [0] } }, { gpu: { devices: [1] } }],
  });
  all = await registered(() => new Box(plan.prefix, { plan, secrets: pulumi.secret(testSecrets) }));
});

const servers = () => all.filter((r) => r.type === CONTAINER && r.name.endsWith("-server"));

test("each instance is a container with a request for its own device", () => {
  expect(servers().map((r) => [r.name, r.inputs.deviceRequests])).toEqual([
    ["gpubox-test-backend-m-1-server", [{ driver: "nvidia", deviceIds: ["0"], capabilities: ["gpu"] }]],
    ["gpubox-test-backend-m-2-server", [{ driver: "nvidia", deviceIds: ["1"], capabilities: ["gpu"] }]],
  ]);
  for (const { inputs } of all.filter((r) => r.type === CONTAINER)) expect(inputs).not.toHaveProperty("gpus");
});

test("the weights are fetched once, before either server is created", () => {
  const steps = all.filter((r) => r.type === COMMAND && r.name.startsWith("weights-"));
  expect(steps).toHaveLength(1);
  for (const server of servers()) expect(server.dependsOn).toContain(steps[0]!.name);
});

test("the step of a locked model reads a token that appears nowhere", async () => {
  const model = "hf://Qwen/Qwen3-8B";
  const secrets: Record<string, string> = { ...testSecrets, hfToken: "hf_PLANTED-token" };
  const { plan } = boxOf({ engine: "vllm", model, gpu: { devices: [0] } }, { lock: locked(), secrets });
  const found = await registered(() => new Box(plan.prefix, { plan, secrets: pulumi.secret(secrets) }));
  const [step] = found.filter((r) => r.type === COMMAND && r.name.startsWith("weights-"));
  expect(isSecret(step!.inputs.stdin)).toBe(true);
  expect(JSON.stringify({ ...step!.inputs, stdin: "" })).not.toContain("PLANTED");
});

test("the image of an engine is pulled once, and each cache belongs to the user that writes to it", () => {
  expect(all.filter((r) => r.name === "gpubox-test-host-image-vllm")).toHaveLength(1);
  const caches = all.filter((r) => r.name.endsWith("-server-files-write"));
  expect(caches.map((r) => String(r.inputs.create).split(" ").slice(-3))).toEqual([
    ["'/srv/gpubox/backend-m-1-cache'", "'2000'", "'0'"],
    ["'/srv/gpubox/backend-m-2-cache'", "'2000'", "'0'"],
  ]);
});

test("the key between gateway and backends arrives as a secret and appears nowhere else", () => {
  const files = all.filter((r) => r.name.endsWith("-server-files-write"));
  expect(files).toHaveLength(2);
  for (const { inputs } of files) expect(isSecret(inputs.stdin)).toBe(true);
  const plain = all.map((r) => ({
    ...r.inputs,
    stdin: isSecret(r.inputs.stdin) ? "secret" : r.inputs.stdin,
  }));
  expect(JSON.stringify(plain)).not.toMatch(/PLANTED|[0-9a-f]{64}/);
});
