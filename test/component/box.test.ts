import * as pulumi from "@pulumi/pulumi";
import { Box } from "../../components/Box";
import { everyImage, gpuHost, locked } from "../support/engines";
import { isSecret, type Registered, registered } from "../support/mocks";
import { testPlan, testSecrets, tinyModel } from "../support/stacks";

const CONTAINER = "docker:index/container:Container";
const COMMAND = "command:local:Command";

let all: Registered[];

beforeAll(async () => {
  const plan = testPlan();
  all = await registered(() => new Box(plan.prefix, { plan, secrets: pulumi.secret(testSecrets) }));
});

function one(type: string, name: string): Registered {
  const found = all.filter((r) => r.type === type && r.name === name);
  expect(found).toHaveLength(1);
  return found[0]!;
}

const names = (type: string) =>
  all
    .filter((r) => r.type === type)
    .map((r) => r.name)
    .sort();

test("a box with one local model has exactly these containers", () => {
  expect(names(CONTAINER)).toEqual([
    "gpubox-test-backend-tiny-server",
    "gpubox-test-backend-tiny-valve",
    "gpubox-test-cache",
    "gpubox-test-database",
    "gpubox-test-edge",
    "gpubox-test-gateway",
  ]);
});

test("every resource of a component is named after it and has it as its parent", () => {
  const owned = all.filter((r) => r.parent !== "" && !r.type.startsWith("pulumi:"));
  expect(owned.filter((r) => !r.name.startsWith("gpubox-test"))).toEqual([]);
  expect(all.filter((r) => r.type.startsWith("docker:") && !r.parent.startsWith("gpubox-test"))).toEqual([]);
});

test("the gateway overlaps with its successor, everything else is replaced stop-first", () => {
  const order = all
    .filter((r) => r.type === CONTAINER)
    .map((r) => [r.name, r.deleteBeforeReplace])
    .filter(([, first]) => first !== true);
  expect(order).toEqual([["gpubox-test-gateway", false]]);
});

test("the gateway has no fixed name, so that old and new containers coexist", () => {
  expect(one(CONTAINER, "gpubox-test-gateway").inputs.name).toBeUndefined();
  expect(one(CONTAINER, "gpubox-test-edge").inputs.name).toBe("gpubox-test-edge");
});

test("a gateway is proven after the backends are ready, and switched to after it is proven", () => {
  const proof = one(COMMAND, "gpubox-test-gateway-proof");
  expect(proof.dependsOn).toEqual(
    expect.arrayContaining([
      "gpubox-test-gateway",
      "gpubox-test-backend-tiny-server-ready",
      "gpubox-test-backend-tiny-valve-ready",
      "gpubox-test-edge-ready",
    ]),
  );
  expect(one(COMMAND, "gpubox-test-gateway-switch").dependsOn).toContain("gpubox-test-gateway-proof");
});

test("a gateway is deleted before the backends it routes to, and takes no input from them", () => {
  const gateway = one(CONTAINER, "gpubox-test-gateway");
  expect(gateway.dependsOn.filter((name) => name.includes("backend")).sort()).toEqual([
    "gpubox-test-backend-tiny-server",
    "gpubox-test-backend-tiny-valve",
  ]);
  expect(JSON.stringify(gateway.inputs)).not.toContain("backend");
});

test("a gateway starts only when Redis and Postgres are healthy", () => {
  expect(one(CONTAINER, "gpubox-test-gateway").dependsOn).toEqual(
    expect.arrayContaining(["gpubox-test-cache-ready", "gpubox-test-database-ready"]),
  );
});

test("only the edge publishes ports, on loopback", () => {
  const published = all
    .filter((r) => r.type === CONTAINER)
    .flatMap((r) =>
      (r.inputs.ports as { ip: string; external: number }[]).map((p) => [r.name, p.ip, p.external]),
    );
  expect(published).toEqual([
    ["gpubox-test-edge", "127.0.0.1", 4000],
    ["gpubox-test-edge", "127.0.0.1", 4001],
  ]);
});

test("every container is confined and bounded", () => {
  for (const { inputs } of all.filter((r) => r.type === CONTAINER)) {
    expect(inputs).toMatchObject({
      readOnly: true,
      capabilities: { drops: ["ALL"] },
      securityOpts: ["no-new-privileges:true"],
      restart: "unless-stopped",
      logOpts: { "max-size": "20m", "max-file": "5" },
    });
    expect(inputs.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(inputs.memory).toBeGreaterThan(0);
    expect(inputs.memorySwap).toBe(inputs.memory);
    expect(inputs.destroyGraceSeconds).toBeGreaterThan(0);
    expect((inputs.healthcheck as { tests: string[] }).tests.length).toBeGreaterThan(1);
  }
});

test("file contents arrive as secrets through standard input, and no other input holds one", () => {
  const writers = all.filter((r) => r.type === COMMAND && r.name.endsWith("-files-write"));
  expect(writers).toHaveLength(6);
  for (const { inputs } of writers) expect(isSecret(inputs.stdin)).toBe(true);
  const plain = JSON.stringify(
    all.map((r) => ({
      ...r,
      inputs: { ...r.inputs, stdin: isSecret(r.inputs.stdin) ? "secret" : r.inputs.stdin },
    })),
  );
  expect(plain).not.toContain("PLANTED");
});

test("the database's volume is kept when its resource goes", () => {
  expect(
    all.filter((r) => r.type === "docker:index/volume:Volume").map((r) => [r.name, r.retainOnDelete]),
  ).toEqual([["gpubox-test-database-volume", true]]);
});

test("every docker resource uses the box's own provider", () => {
  const others = all.filter(
    (r) => r.type.startsWith("docker:index/") && !r.provider.includes("gpubox-test-host-docker"),
  );
  expect(others).toEqual([]);
});

test("a readiness command belongs to the container that it waits for", () => {
  const { inputs } = one(COMMAND, "gpubox-test-cache-ready");
  expect(inputs.triggers).toEqual(["gpubox-test-cache-id"]);
});

test("no container stops before the disks are checked and all images and model files are present", async () => {
  const qwen = { engine: "vllm", model: "hf://Qwen/Qwen3-8B", gpu: { devices: [0] } };
  const plan = testPlan(
    { host: gpuHost, cache: { mode: "bundled" }, models: { ...tinyModel, qwen } },
    testSecrets,
    everyImage,
    { "hf://Qwen/Qwen3-8B": locked() },
  );
  const own = await registered(() => new Box(plan.prefix, { plan, secrets: pulumi.secret(testSecrets) }));
  const firsts = own
    .filter(
      ({ type, name }) => type === "docker:index/remoteImage:RemoteImage" || /-space$|^weights-/.test(name),
    )
    .map(({ name }) => name.replace(/^weights-.*/, "weights"));
  expect(firsts.sort()).toEqual([
    ...["cache", "database", "edge", "gateway", "llamacpp", "vllm"].map(
      (role) => `gpubox-test-host-image-${role}`,
    ),
    "gpubox-test-host-space",
    "weights",
  ]);
  for (const { dependsOn } of own.filter(({ type }) => type === CONTAINER))
    expect(dependsOn.map((name) => name.replace(/^weights-.*/, "weights"))).toEqual(
      expect.arrayContaining(firsts),
    );
  const space = own.find(({ name }) => name === "gpubox-test-host-space")!;
  expect(space.inputs.stdin).toBe(
    `700 /srv/gpubox/models/hf/Qwen/Qwen3-8B/${locked().revision}/config.json\n.\n`,
  );
});
