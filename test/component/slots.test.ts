import * as pulumi from "@pulumi/pulumi";
import { Box } from "../../components/Box";
import { everyImage } from "../support/engines";
import { type Registered, registered } from "../support/mocks";
import { testPlan, testSecrets } from "../support/stacks";

const CONTAINER = "docker:index/container:Container";

const model = (file: string, more = {}) => ({
  engine: "llamacpp",
  model: `hf://owner/repo/${file}.gguf`,
  ...more,
});
const pair = { start: "ondemand", slot: "pair" };

async function box(models: Record<string, unknown>): Promise<Registered[]> {
  const plan = testPlan({ models }, testSecrets, everyImage);
  return registered(() => new Box(plan.prefix, { plan, secrets: pulumi.secret(testSecrets) }));
}

function one(all: Registered[], name: string): Registered {
  const found = all.filter((r) => r.name === name && !r.type.startsWith("gpubox:"));
  expect(found).toHaveLength(1);
  return found[0]!;
}

test("a slot is created after the files of all its models are on the host", async () => {
  const all = await box({ a: model("a", pair), b: model("b", pair) });
  const steps = all.filter((r) => r.name.startsWith("weights-")).map((r) => r.name);
  expect(steps).toHaveLength(2);
  expect(one(all, "gpubox-test-slot-pair").dependsOn).toEqual(expect.arrayContaining(steps));
});

test("a gateway is created after the slot and the valves that it routes to, and proven after they are ready", async () => {
  const all = await box({ a: model("a", pair), b: model("b", pair) });
  expect(one(all, "gpubox-test-gateway").dependsOn).toEqual(
    expect.arrayContaining([
      "gpubox-test-slot-pair",
      "gpubox-test-backend-a-valve",
      "gpubox-test-backend-b-valve",
    ]),
  );
  expect(one(all, "gpubox-test-gateway-proof").dependsOn).toEqual(
    expect.arrayContaining([
      "gpubox-test-slot-pair-ready",
      "gpubox-test-backend-a-valve-ready",
      "gpubox-test-backend-b-valve-ready",
    ]),
  );
});

test("a model keeps its valve's resource when it changes to or from loading on demand", async () => {
  // Of the same name and type, below parents of the same types: the same URN, so no second container of the same name.
  const valve = (all: Registered[]) => {
    const { type, name, parent } = one(all, "gpubox-test-backend-a-valve");
    return { type, name, parent };
  };
  const before = valve(await box({ a: model("a") }));
  expect(before.type).toBe(CONTAINER);
  expect(valve(await box({ a: model("a", pair) }))).toEqual(before);
});
