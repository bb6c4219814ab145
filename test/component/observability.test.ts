import * as pulumi from "@pulumi/pulumi";
import { Box } from "../../components/Box";
import { isSecret, type Registered, registered } from "../support/mocks";
import { observed, online, secrets } from "../support/observed";
import { testPlan } from "../support/stacks";

const MONITORS = [
  "alertmanager",
  "grafana",
  "node-exporter",
  "postgres-exporter",
  "prometheus",
  "redis-exporter",
];
const BOX = "gpubox-test-observability";

let all: Registered[];

beforeAll(async () => {
  const plan = testPlan(observed({}, { alerts: { webhook: { secret: "hook" } } }), secrets, online);
  all = await registered(
    () => new Box(plan.prefix, { plan, secrets: pulumi.secret<Record<string, string>>(secrets) }),
  );
});

const monitors = () =>
  all.filter((r) => r.type === "docker:index/container:Container" && r.name.startsWith(BOX));

test("each monitor is a container of the component's", () => {
  expect(
    monitors()
      .map(({ name }) => name)
      .sort(),
  ).toEqual(MONITORS.map((name) => `${BOX}-${name}`));
});

test("a monitor starts after the switch, so that a failing monitor delays no change", () => {
  for (const { name, dependsOn } of monitors())
    expect([name, dependsOn]).toEqual([name, expect.arrayContaining(["gpubox-test-gateway-switch"])]);
  const serving = all.filter(
    ({ name }) => /gateway|edge|backend|cache|database/.test(name) && !name.startsWith(BOX),
  );
  expect(serving.length).toBeGreaterThan(10);
  expect(serving.filter(({ dependsOn }) => dependsOn.some((name) => name.startsWith(BOX)))).toEqual([]);
});

test("the time of a change is recorded once the new gateway serves", () => {
  const change = all.find(({ name }) => name === `${BOX}-change`);
  expect(change!.dependsOn).toContain("gpubox-test-gateway-switch");
});

test("monitors are confined and bounded like everything else", () => {
  for (const { inputs } of monitors()) {
    expect(inputs).toMatchObject({
      readOnly: true,
      capabilities: { drops: ["ALL"] },
      securityOpts: ["no-new-privileges:true"],
    });
    expect(inputs.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(inputs.memory).toBeGreaterThan(0);
  }
});

test("file contents arrive as secrets, and no other input holds one", () => {
  const plain = JSON.stringify(
    all.map((r) => ({
      ...r,
      inputs: { ...r.inputs, stdin: isSecret(r.inputs.stdin) ? "secret" : r.inputs.stdin },
    })),
  );
  expect(plain).not.toContain("PLANTED");
});

test("its volumes are kept when their resources go", () => {
  const volumes = all.filter((r) => r.type === "docker:index/volume:Volume" && r.name.startsWith(BOX));
  expect(volumes.map(({ name, retainOnDelete }) => [name, retainOnDelete]).sort()).toEqual(
    ["alertmanager", "grafana", "prometheus"].map((name) => [`${BOX}-${name}-volume`, true]),
  );
});
