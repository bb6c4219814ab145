import * as pulumi from "@pulumi/pulumi";
import { Cluster } from "../../components/Cluster";
import type { BoxPlan } from "../../configs/kit/types";
import { renderKubernetes } from "../../configs/plan/kubernetes/render";
import { clusterPlan } from "../support/cluster";
import { isSecret, type Registered, registered } from "../support/mocks";
import { testSecrets } from "../support/stacks";

const hub = { engine: "llamacpp", model: "hf://acme/tiny-GGUF/tiny.gguf", memoryMiB: 2048 };
const values = {
  kubernetes: { context: "lab", namespace: "llm" },
  models: { tiny: hub },
};
const plan = clusterPlan(values);

const made = (plan: BoxPlan): Promise<Registered[]> =>
  registered(() => new Cluster(plan.prefix, { plan, secrets: pulumi.secret(testSecrets) }));

const PACKAGE = /^kubernetes:/;
const objectsOf = (all: Registered[]) => all.filter(({ type }) => PACKAGE.test(type));

/** `Deployment gateway`: what a resource makes. */
function nameOf({ inputs }: Registered): string {
  const { kind, metadata } = inputs as { kind: string; metadata: { name: string } };
  return `${kind} ${metadata.name}`;
}

/** An object by what it makes, without the hash at the end of its name. */
function find(all: Registered[], kind: string, name: string): Registered {
  const found = objectsOf(all).filter((one) => {
    const made = nameOf(one);
    return made === `${kind} ${name}` || made.replace(/-[0-9a-f]{12}$/, "") === `${kind} ${name}`;
  });
  expect(found.map((one) => one.name)).toHaveLength(1);
  return found[0]!;
}

let all: Registered[];

beforeAll(async () => {
  all = await made(plan);
});

test("each object of the renderer, and each Secret, is one resource under its own name", () => {
  const { objects, secrets } = renderKubernetes(plan);
  const wanted = [
    ...objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`),
    ...secrets.map(({ metadata }) => `Secret ${metadata.name}`),
  ];
  expect(objectsOf(all).map(nameOf).sort()).toEqual(wanted.sort());
  for (const one of objectsOf(all)) expect(one.name).toBe(`gpubox-test-${nameOf(one).split(" ")[1]}`);
  const { spec } = objects.find(
    ({ kind, metadata }) => kind === "Deployment" && metadata.name === "gateway",
  )! as {
    spec?: unknown;
  } & (typeof objects)[number];
  expect(find(all, "Deployment", "gateway").inputs).toMatchObject({ apiVersion: "apps/v1", spec });
});

test("types are those of the provider", () => {
  expect([...new Set(objectsOf(all).map(({ type }) => type))].sort()).toEqual([
    "kubernetes:apps/v1:Deployment",
    "kubernetes:apps/v1:StatefulSet",
    "kubernetes:batch/v1:CronJob",
    "kubernetes:batch/v1:Job",
    "kubernetes:core/v1:ConfigMap",
    "kubernetes:core/v1:Namespace",
    "kubernetes:core/v1:PersistentVolumeClaim",
    "kubernetes:core/v1:Secret",
    "kubernetes:core/v1:Service",
    "kubernetes:networking.k8s.io/v1:NetworkPolicy",
    "kubernetes:policy/v1:PodDisruptionBudget",
  ]);
});

test("all of them use one provider, of the section's context and namespace, that applies on the server", () => {
  const provider = all.find(({ type }) => type === "pulumi:providers:kubernetes")!;
  expect(provider.name).toBe("gpubox-test-kubernetes");
  expect(provider.inputs).toMatchObject({
    context: "lab",
    namespace: "llm",
    enableServerSideApply: "true",
    upsertExistingObjects: "true",
  });
  for (const one of objectsOf(all)) expect(one.provider).toContain("::gpubox-test-kubernetes::");
});

test("names are identities: the stack knows each part and each object by these", () => {
  const fixed = objectsOf(all)
    .filter((one) => !/-[0-9a-f]{12}$/.test(one.name))
    .map(({ identity }) => identity);
  const part = "gpubox:index:Cluster$gpubox:index:ClusterPart$kubernetes";
  expect(fixed).toEqual(
    expect.arrayContaining([
      `${part}:core/v1:Namespace::gpubox-test-llm`,
      `${part}:apps/v1:Deployment::gpubox-test-backend-tiny`,
      `${part}:apps/v1:Deployment::gpubox-test-gateway`,
      `${part}:apps/v1:StatefulSet::gpubox-test-database`,
      `${part}:core/v1:PersistentVolumeClaim::gpubox-test-database`,
      `${part}:core/v1:Service::gpubox-test-edge`,
    ]),
  );
  const parts = all.filter(({ type }) => type === "gpubox:index:ClusterPart").map(({ name }) => name);
  const roles = [
    "access",
    "backend-tiny",
    "backup",
    "box",
    "cache",
    "database",
    "edge",
    "gateway",
    "migrate",
    "prove",
  ];
  expect(parts.sort()).toEqual(roles.map((role) => `gpubox-test-${role}`));
});

/** True if one resource waits for another, over others. */
function comesAfter(one: Registered, other: Registered, seen = new Set<string>()): boolean {
  const key = `${one.type} ${one.name}`;
  if (seen.has(key)) return false;
  seen.add(key);
  return dependencies(one).some((before) => before === other || comesAfter(before, other, seen));
}

/** Resources of several types have one name, so a name may mean more than what was meant: none of them comes later. */
function dependencies({ dependsOn, type, name }: Registered): Registered[] {
  return objectsOf(all).filter(
    (one) => dependsOn.includes(one.name) && !(one.name === name && one.type === type),
  );
}

test("stores, migration, servers, gateway, proof, edge come in this order, and nothing turns it round", () => {
  const order: [string, string][] = [
    ["StatefulSet", "database"],
    ["Job", "migrate"],
    ["Deployment", "gateway"],
    ["Job", "prove-tiny"],
    ["Deployment", "edge"],
  ];
  const steps = order.map(([kind, name]) =>
    name === "prove-tiny"
      ? objectsOf(all).find((one) => /^Job prove-tiny-/.test(nameOf(one)))!
      : find(all, kind, name),
  );
  for (const [index, later] of steps.entries())
    for (const earlier of steps.slice(0, index)) {
      expect([later.name, earlier.name, comesAfter(later, earlier)]).toEqual([
        later.name,
        earlier.name,
        true,
      ]);
      expect([earlier.name, later.name, comesAfter(earlier, later)]).toEqual([
        earlier.name,
        later.name,
        false,
      ]);
    }
  const gateway = find(all, "Deployment", "gateway");
  expect(gateway.dependsOn).toEqual(
    expect.arrayContaining(["gpubox-test-backend-tiny", "gpubox-test-cache"]),
  );
});

test("a pod comes after the files and volumes that it mounts and after its own networks", () => {
  const gateway = find(all, "Deployment", "gateway");
  for (const kind of ["ConfigMap", "Secret"])
    expect(gateway.dependsOn).toContain(find(all, kind, "gateway").name);
  expect(gateway.dependsOn).toContain("gpubox-test-box");
  expect(dependencies(gateway).map(nameOf)).toEqual(
    expect.arrayContaining([
      "Namespace llm",
      "NetworkPolicy gateway",
      "NetworkPolicy box",
      "Service gateway",
    ]),
  );
  expect(dependencies(find(all, "StatefulSet", "database")).map(nameOf)).toContain(
    "PersistentVolumeClaim database",
  );
});

test("the values of secrets go into the engine as secrets only, and only into Secrets", () => {
  const plain = JSON.stringify(
    all.map(({ inputs }) =>
      Object.fromEntries(Object.entries(inputs).map(([key, value]) => [key, isSecret(value) ? "" : value])),
    ),
  );
  expect(plain).not.toContain("PLANTED");
  const closed = objectsOf(all).filter(({ inputs }) => Object.values(inputs).some(isSecret));
  expect([...new Set(closed.map(({ type }) => type))]).toEqual(["kubernetes:core/v1:Secret"]);
  expect(closed).toHaveLength(renderKubernetes(plan).secrets.length);
  const { inputs } = find(all, "Secret", "gateway");
  expect(JSON.stringify(inputs.stringData)).toContain("sk-PLANTED-master-0123456789abcdef");
});

test("data outlives the stack: the claims of database and backups, and the namespace around them", () => {
  const kept = objectsOf(all).filter(({ retainOnDelete }) => retainOnDelete);
  expect(kept.map(nameOf).sort()).toEqual([
    "Namespace llm",
    "PersistentVolumeClaim backups",
    "PersistentVolumeClaim database",
  ]);
});

test("nothing waits for what comes later: Services and claims are not awaited, and a failed Job is made anew", () => {
  const annotated = (key: string) =>
    new Set(
      objectsOf(all)
        .filter(({ inputs }) => {
          const { annotations = {} } = inputs.metadata as { annotations?: Record<string, string> };
          return annotations[key] === "true";
        })
        .map(({ type }) => type.split(":")[2]),
    );
  expect([...annotated("pulumi.com/skipAwait")].sort()).toEqual(["PersistentVolumeClaim", "Service"]);
  expect([...annotated("pulumi.com/replaceUnready")]).toEqual(["Job"]);
});

test("each object names one owner of its fields, so that what outlives the state takes a change", () => {
  const owners = objectsOf(all).map((one) => {
    const { annotations = {} } = one.inputs.metadata as { annotations?: Record<string, string> };
    return [nameOf(one), annotations["pulumi.com/patchFieldManager"]];
  });
  expect(owners.filter(([, owner]) => owner !== "gpubox")).toEqual([]);
  expect(owners.map(([name]) => name)).toEqual(
    expect.arrayContaining(["Namespace llm", "PersistentVolumeClaim database"]),
  );
  expect(owners.some(([name]) => /^Secret /.test(name!))).toBe(true);
});

test("adding a model changes the gateway's files and pods, and makes what is the model's own", async () => {
  const before = new Map(objectsOf(all).map((one) => [nameOf(one), JSON.stringify(one.inputs)]));
  const now = objectsOf(await made(clusterPlan({ ...values, models: { tiny: hub, more: hub } })));
  const after = new Map(now.map((one) => [nameOf(one), JSON.stringify(one.inputs)]));
  const short = (name: string) => name.replace(/-[0-9a-f]{12}$/, "-#");
  const changed = [...after].filter(([name, text]) => before.has(name) && before.get(name) !== text);
  expect(changed.map(([name]) => name)).toEqual(["Deployment gateway"]);
  const added = [...after.keys()].filter((name) => !before.has(name)).map(short);
  expect(added.filter((name) => !/more/.test(name)).sort()).toEqual(["ConfigMap gateway-#"]);
  expect(added.filter((name) => /^(Deployment|Job|Service) /.test(name)).sort()).toEqual([
    "Deployment backend-more",
    expect.stringMatching(/^Job prove-more-/),
    expect.stringMatching(/^Service prove-more-/),
    "Service valve-more",
  ]);
  const removed = [...before.keys()].filter((name) => !after.has(name)).map(short);
  expect(removed).toEqual(["ConfigMap gateway-#"]);
});

test("instances of one model come one after another", async () => {
  const several = await made(clusterPlan({ ...values, models: { tiny: { ...hub, instances: [{}, {}] } } }));
  const servers = objectsOf(several).filter((one) => /^Deployment backend-/.test(nameOf(one)));
  expect(servers.map((one) => one.name)).toHaveLength(2);
  const [first, second] = servers;
  expect(second!.dependsOn).toContain(first!.name);
  expect(first!.dependsOn).not.toContain(second!.name);
});
