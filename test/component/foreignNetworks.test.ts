import * as pulumi from "@pulumi/pulumi";
import { Box } from "../../components/Box";
import { registered } from "../support/mocks";
import { testPlan, testSecrets, tinyModel } from "../support/stacks";

test("a foreign network is joined by name and is no resource of the stack", async () => {
  const joinNetworks = { upstreams: ["theirs"], clients: ["webui"] };
  const plan = testPlan({ models: tinyModel, gateway: { joinNetworks } });
  const all = await registered(() => new Box(plan.prefix, { plan, secrets: pulumi.secret(testSecrets) }));
  const networks = all.filter(({ type }) => type === "docker:index/network:Network");
  expect(networks.map(({ inputs }) => inputs.name).sort()).toEqual([
    "gpubox-test-backends",
    "gpubox-test-data",
    "gpubox-test-edge",
    "gpubox-test-models",
  ]);
  const joinedBy = (name: string) =>
    all.find((one) => one.type === "docker:index/container:Container" && one.name === name)?.inputs
      .networksAdvanced;
  expect(joinedBy("gpubox-test-gateway")).toContainEqual({ name: "theirs", aliases: [] });
  expect(joinedBy("gpubox-test-gateway")).not.toContainEqual({ name: "webui", aliases: [] });
  expect(joinedBy("gpubox-test-edge")).toContainEqual({ name: "webui", aliases: [] });
});
