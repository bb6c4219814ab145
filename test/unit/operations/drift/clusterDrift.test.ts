import { type ClusterDriftFacts, clusterDrift } from "../../../../operations/drift/clusterDrift";
import { type FieldFinding, fieldFindings, type Managed } from "../../../../operations/drift/fields";
import { driftText } from "../../../../operations/drift/text";
import { clusterStack } from "../../../support/cluster";
import { TINY } from "../../../support/clusterStacks";

const { plan } = clusterStack({ models: { tiny: TINY, held: { ...TINY, start: "manual" } } });
const of = (kind: string, name: string, role = name) => ({ kind, name, role });
const GATEWAY = of("Deployment", "gateway");
const TINYS = of("Deployment", "backend-tiny");

function reported(facts: Partial<ClusterDriftFacts>) {
  const all = { planned: [], found: [], fields: {}, kubectl: "kubectl -n box", notChecked: [] };
  return clusterDrift(plan, { ...all, ...facts });
}
const about = (facts: Partial<ClusterDriftFacts>) =>
  reported(facts).differences.map(({ what, fix, byUp, affected }) => [what, fix, byUp, affected.who]);

test("a cluster that has what the plan wants has no drift", () => {
  const report = reported({ planned: [GATEWAY, TINYS], found: [TINYS, GATEWAY] });
  expect(report).toEqual({ stack: "test", differences: [], configChanged: false, notChecked: [] });
  expect(driftText(report, "cluster")).toBe("The stack test is on its cluster as planned.");
});

test("what is missing says whom it affects, and `up` makes it", () => {
  const proof = of("Job", "prove-tiny-1", "prove");
  const missing = (what: string) => [
    `${what} is missing.`,
    "Run `gpubox up --stack test`: it makes it again.",
    true,
  ];
  expect(about({ planned: [GATEWAY, TINYS, proof] })).toEqual([
    [...missing("Deployment gateway"), "all clients"],
    [...missing("Deployment backend-tiny"), "clients of tiny"],
    [...missing("Job prove-tiny-1"), "nobody's requests"],
  ]);
});

test("what has the box's label and is not planned is told with the command that removes it", () => {
  expect(about({ found: [of("ConfigMap", "gateway-old", "gateway")] })).toEqual([
    [
      "ConfigMap gateway-old has the box's label, and is not in its plan.",
      "Run `gpubox up --stack test`, which removes what it made; what is left then is yours to remove: kubectl -n box delete configmap gateway-old.",
      false,
      "nobody's requests",
    ],
  ]);
});

test("fields that somebody else set are told with their name, and `up` overrides nobody", () => {
  const replicas: FieldFinding = {
    ...{ path: "spec.replicas", by: ["kubectl"], added: false },
    values: { found: "5", planned: "2" },
  };
  const added: FieldFinding = { path: "spec.template.spec.hostNetwork", by: ["mesh"], added: true };
  const facts = { planned: [GATEWAY], found: [GATEWAY], fields: { "Deployment gateway": [replicas, added] } };
  expect(about(facts)).toEqual([
    [
      "Deployment gateway is not as planned, by kubectl: spec.replicas is 5 instead of 2.",
      "Set it back (kubectl -n box edit deployment gateway), or write it into the stack's file: `gpubox up --stack test` overrides nobody.",
      false,
      "all clients",
    ],
    [
      "Deployment gateway is not as planned, by mesh: it has spec.template.spec.hostNetwork.",
      "Remove what it added (kubectl -n box edit deployment gateway), or write it into the stack's file: `gpubox up --stack test` overrides nobody.",
      false,
      "all clients",
    ],
  ]);
  expect(reported(facts).configChanged).toBe(false);
});

test("a model that a person starts may run or not, and nothing else of it may differ", () => {
  const held = of("Deployment", "backend-held");
  const running = (path: string): FieldFinding => ({
    ...{ path, by: ["kubectl"], added: false },
    values: { found: "1", planned: "0" },
  });
  const fields = { "Deployment backend-held": [running("spec.replicas")] };
  expect(about({ planned: [held], found: [held], fields })).toEqual([]);
  const more = { "Deployment backend-held": [running("spec.replicas"), running("spec.minReadySeconds")] };
  expect(about({ planned: [held], found: [held], fields: more }).map(([what]) => what)).toEqual([
    "Deployment backend-held is not as planned, by kubectl: spec.minReadySeconds is 1 instead of 0.",
  ]);
});

test("fields that nobody else set mean that the stack's file changed, and `up` sets them", () => {
  const paths = ["a", "b", "c", "d", "e"].map((name) => `spec.${name}`);
  const fields = paths.map((path) => ({
    ...{ path, by: [], added: false },
    values: { found: "another text", planned: "another text" },
  }));
  const report = reported({
    planned: [TINYS],
    found: [TINYS],
    fields: { "Deployment backend-tiny": fields },
  });
  expect(report.configChanged).toBe(true);
  expect(report.differences.map(({ what, fix, byUp }) => [what, fix, byUp])).toEqual([
    [
      "Deployment backend-tiny is not as planned: spec.a has another text; spec.b has another text; spec.c has another text; spec.d has another text; 1 more.",
      "Run `gpubox up --stack test`: it sets it.",
      true,
    ],
  ]);
});

const main = { name: "main", image: "gateway:1", env: [{ name: "A", value: "1" }], args: ["--port", "1"] };
const object = (containers: object[], ...managers: object[]) =>
  ({
    kind: "Deployment",
    metadata: {
      ...{ name: "gateway", resourceVersion: "7", annotations: { "pulumi.com/x": "y" } },
      managedFields: managers,
    },
    spec: { replicas: 2, template: { spec: { containers } } },
    status: { readyReplicas: 2 },
  }) as unknown as Managed;
const set = (field: object) => ({ "f:spec": { "f:template": { "f:spec": { "f:containers": field } } } });
const OURS = {
  manager: "gpubox",
  fieldsV1: {
    ...set({
      'k:{"name":"main"}': {
        ".": {},
        "f:image": {},
        "f:args": {},
        "f:env": { 'k:{"name":"A"}': { ".": {} } },
      },
    }),
    "f:metadata": {},
  },
};

test("notes of the server, of the provider and of controllers are no difference", () => {
  const controllers = { manager: "kube-controller-manager", fieldsV1: { "f:spec": { "f:volumeName": {} } } };
  const status = { manager: "x", subresource: "status", fieldsV1: { "f:spec": { "f:odd": {} } } };
  const planned = { ...object([main]), status: undefined };
  planned.metadata = { name: "gateway", managedFields: [OURS] } as never;
  expect(fieldFindings(object([main], OURS, controllers, status), planned, "gpubox")).toEqual([]);
});

test("who applied the plan's objects in gpubox's place has added nothing", () => {
  const kubectl = { ...OURS, manager: "kubectl" };
  expect(fieldFindings(object([main], kubectl), object([main], kubectl, OURS), "gpubox")).toEqual([]);
});

test("a changed field is found in its item of a list, with who set it, and no text of it is shown", () => {
  const changed = { ...main, image: "gateway:2", env: [{ name: "A", value: "PLANTED" }] };
  const edit = set({
    'k:{"name":"main"}': { "f:image": {}, "f:env": { 'k:{"name":"A"}': { "f:value": {} } } },
  });
  const found = object([changed], OURS, { manager: "kubectl-edit", fieldsV1: edit });
  const findings = fieldFindings(found, object([main], OURS), "gpubox");
  const path = "spec.template.spec.containers[main]";
  expect(findings).toEqual([
    {
      ...{ path: `${path}.image`, added: false, by: ["kubectl-edit"] },
      values: { found: "gateway:2", planned: "gateway:1" },
    },
    {
      ...{ path: `${path}.env[A].value`, added: false, by: ["kubectl-edit"] },
      values: { found: "another text", planned: "another text" },
    },
  ]);
});

test("a list that is set as one belongs to whoever set it", () => {
  const changed = { ...main, args: ["--port", "2"] };
  const edit = { manager: "kubectl-edit", fieldsV1: set({ 'k:{"name":"main"}': { "f:args": {} } }) };
  const findings = fieldFindings(object([changed], edit), object([main], OURS), "gpubox");
  expect(findings.map(({ path, by }) => [path, by])).toEqual([
    ["spec.template.spec.containers[main].args[1]", ["kubectl-edit"]],
  ]);
});

test("what others add beside the plan is found where it begins, once for all who set it", () => {
  const added = set({
    'k:{"name":"main"}': { "f:image": {}, "f:env": { 'k:{"name":"B"}': { ".": {}, "f:value": {} } } },
    'k:{"name":"sidecar"}': { ".": {}, "f:image": {} },
  });
  const found = object([main], OURS, ...["mesh", "other"].map((manager) => ({ manager, fieldsV1: added })));
  const path = "spec.template.spec.containers";
  expect(fieldFindings(found, object([main], OURS), "gpubox")).toEqual([
    { path: `${path}[main].env[B]`, by: ["mesh", "other"], added: true },
    { path: `${path}[sidecar]`, by: ["mesh", "other"], added: true },
  ]);
});
