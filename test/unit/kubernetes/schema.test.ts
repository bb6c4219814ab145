import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { ConfigError } from "../../../configs/kit/problems";
import type { BoxPlan } from "../../../configs/kit/types";
import type { KubernetesObject } from "../../../configs/plan/kubernetes/objects";
import { kubernetesObjects } from "../../../configs/plan/kubernetes/render";
import { secretManifests } from "../../../operations/kubernetes/manifests";
import { packageDir } from "../../../platform/project";
import { cases } from "../../contract/engines/cases";
import { clusterMistakes, clusterPlan } from "../../support/cluster";
import { mistakesByType } from "../../support/kubernetesTypes";
import { testSecrets } from "../../support/stacks";

/** What a stack file says, without the prefix of its keys. */
function valuesOf(text: string): Record<string, unknown> {
  const { config } = parse(text) as { config: Record<string, unknown> };
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key.replace(/^gpubox:/, ""), value]),
  );
}

/** The stack file that docs/kubernetes.md begins with. */
function ofThePage(): Record<string, unknown> {
  const page = readFileSync(join(packageDir, "docs/kubernetes.md"), "utf8");
  return valuesOf(/^```yaml\n([\s\S]*?)^```$/m.exec(page)![1]!);
}

/** The stack files that come with gpubox. */
function examples(): Record<string, Record<string, unknown>> {
  const values = (file: string) => valuesOf(readFileSync(join(packageDir, file), "utf8"));
  return {
    page: ofThePage(),
    dev: values("Pulumi.dev.example.yaml"),
    template: values("templates/project/stack.yaml"),
    bare: { cache: { mode: "none" }, database: { mode: "none" }, models: {} },
    everything: {
      kubernetes: {
        ...{ storageClass: "fast", imagePullSecrets: ["registry-key"], monitoring: "monitoring" },
        ...{ service: { type: "LoadBalancer", annotations: { "example.com/pool": "public" } } },
      },
      gateway: { auth: "key", hosts: ["llm.example"] },
      host: { gpus: [0, 1, 2].map((id) => ({ id, memoryGiB: 80 })) },
      models: {
        many: {
          ...{ engine: "vllm", model: "hf://acme/many", gpu: { devices: [0], memoryGiB: 60 } },
          kubernetes: { replicas: 3, weights: { volume: "pod" }, nodeSelector: { gpu: "l40s" } },
        },
        kept: {
          ...{ engine: "llamacpp", model: "hf://acme/kept-GGUF/kept.gguf" },
          kubernetes: { replicas: 2, weights: { volume: "node" } },
        },
        cut: {
          ...{ engine: "vllm", model: "hf://acme/cut", gpu: { devices: [1, 2], memoryGiB: 60 } },
          kubernetes: { gpuResource: "nvidia.com/mig-3g.40gb", affinity: "client" },
        },
      },
    },
  };
}

/** Every entry that the contract tests know and that a stack file may have as it is, as a stack of its own. */
function engines(): Record<string, Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(cases).flatMap(([engine, list]) =>
      list
        .filter(({ rank }) => rank === undefined)
        .map(({ about, entry, host }) => [
          `${engine} ${about}`,
          { ...(host && { host }), models: { m: { engine, ...entry } } },
        ]),
    ),
  );
}

/** Undefined for an entry that only its engine's contract is judged by. */
function planOf(values: Record<string, unknown>, secrets: Record<string, string>): BoxPlan | undefined {
  try {
    return clusterPlan(values, { secrets });
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

test("every example stack and every engine's entries fit the schema of Kubernetes, and no field is unknown to it", () => {
  const secrets = {
    ...testSecrets,
    hfToken: "hf_PLANTED0123456789abcdefghijklmnop",
    clientKey: "sk-PLANTED-client-0123456789",
  };
  const plans = [
    ...Object.values(examples()).map((values) => clusterPlan(values, { secrets })),
    ...Object.values(engines()).flatMap((values) => planOf(values, secrets) ?? []),
  ];
  const objects = plans.flatMap((plan) => {
    return [...kubernetesObjects(plan), ...(secretManifests(plan, secrets) as KubernetesObject[])];
  });
  expect(plans.length).toBeGreaterThan(20);
  expect(objects.length).toBeGreaterThan(600);
  expect(mistakesByType(objects)).toEqual([]);
});

test("the stack of the page can stand on a cluster as it is", () => {
  expect(clusterMistakes(ofThePage())).toEqual([]);
});

test("the judge finds a field that a kind does not have, one that it lacks, and a value of another type", () => {
  const [made] = kubernetesObjects(clusterPlan({ models: {} })).filter(({ kind }) => kind === "Deployment");
  const deployment = JSON.parse(JSON.stringify(made));
  const pod = deployment.spec.template.spec;
  pod.securityContext.runAsRot = true;
  expect(mistakesByType([deployment]).join()).toContain(
    `"runAsRot"' does not exist in type 'PodSecurityContext'`,
  );
  delete pod.securityContext.runAsRot;
  pod.containers[0].image = 7;
  expect(mistakesByType([deployment]).join()).toContain("Type 'number' is not assignable to type 'string'");
  pod.containers[0].image = "image";
  delete deployment.spec.selector;
  expect(mistakesByType([deployment]).join()).toContain("Property 'selector' is missing");
});
