import * as pulumi from "@pulumi/pulumi";
import { Box } from "../../components/Box";
import { type Registered, registered } from "../support/mocks";
import { testSecrets } from "../support/stacks";
import { planOf, spread } from "../support/twoHosts";

const CONTAINER = "docker:index/container:Container";
const hosts = spread(2, 1);

async function box(stack: string): Promise<Registered[]> {
  const plan = planOf(hosts, stack);
  return registered(() => new Box(plan.prefix, { plan, secrets: pulumi.secret(testSecrets) }));
}

const named = (all: Registered[], name: string) =>
  all.filter((one) => one.name === name && !one.type.startsWith("gpubox:"));

test("a rank other than 0 is a container after its weights and the device locks, with no valve and no route", async () => {
  const all = await box("gpu2");
  const [worker, ...more] = named(all, "gpubox-gpu2-worker-giant");
  expect(more).toEqual([]);
  expect([worker!.type, worker!.deleteBeforeReplace]).toEqual([CONTAINER, true]);
  expect(worker!.identity).toContain("gpubox:index:Worker$docker:index/container:Container");
  const weights = all.filter(({ name }) => name.startsWith("weights-")).map(({ name }) => name);
  expect(weights).toHaveLength(1);
  expect(worker!.dependsOn).toEqual(expect.arrayContaining([...weights, "gpubox-gpu2-device-locks"]));
  expect(all.filter(({ name }) => /-(valve|backend)-/.test(name))).toEqual([]);
  const [gateway] = named(all, "gpubox-gpu2-gateway");
  expect(gateway!.dependsOn.filter((name) => name.includes("giant"))).toEqual([]);
});

test("each rank has its declared address on the link, which nobody makes", async () => {
  const networks = (one: Registered | undefined) => one!.inputs.networksAdvanced;
  const [first, second] = [await box("gpu1"), await box("gpu2")];
  expect(networks(named(first, "gpubox-gpu1-backend-giant-server")[0])).toEqual([
    { name: "gpubox-gpu1-backends", aliases: ["backend-giant"] },
    { name: "fabric", aliases: [], ipv4Address: "10.77.0.1" },
  ]);
  expect(networks(named(second, "gpubox-gpu2-worker-giant")[0])).toEqual([
    { name: "fabric", aliases: [], ipv4Address: "10.77.0.2" },
  ]);
  const made = [...first, ...second].filter(({ type }) => type === "docker:index/network:Network");
  expect(made.map(({ inputs }) => inputs.name)).not.toContain("fabric");
});

test("a rank's gate opens when it waits for the others, and runs again for another container", async () => {
  const [ready] = named(await box("gpu2"), "gpubox-gpu2-worker-giant-ready");
  expect(ready!.inputs.create).toContain(
    "waits for the other hosts: `gpubox up --stack gpu1` proves the model",
  );
  expect(ready!.inputs.delete).toBeUndefined();
});
