import fc from "fast-check";
import { modelKey } from "../../../configs/plan/kubernetes/names";
import type { KubernetesObject } from "../../../configs/plan/kubernetes/objects";
import { literal } from "../../../configs/plan/kubernetes/pod";
import { renderKubernetes } from "../../../configs/plan/kubernetes/render";
import { manifests } from "../../../operations/kubernetes/manifests";
import { clusterPlan, containersOf, podsOf } from "../../support/cluster";
import { runs } from "../../support/runs";
import { testSecrets } from "../../support/stacks";

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,7}([-.][a-z0-9]{1,6})?$/);

const served = fc.record({
  engine: fc.constant("llamacpp"),
  model: fc.constantFrom("hf://acme/tiny-GGUF/tiny.gguf", "hf://acme/other-GGUF/other.gguf"),
  memoryMiB: fc.integer({ min: 512, max: 8192 }),
  aliases: fc.constant([]),
});
const elsewhere = fc.record({
  engine: fc.constant("openai"),
  baseUrl: fc.constantFrom("http://one.example:8000/v1", "http://two.example:8000/v1"),
  apiKey: fc.constant({ secret: "upstreamKey" }),
});
const model = fc.oneof(served, elsewhere);
const models = fc.dictionary(word, model, { minKeys: 1, maxKeys: 4 });
const stack = fc.record({
  models,
  cache: fc.constantFrom({ mode: "bundled" }, { mode: "none" }),
  database: fc.constantFrom({ mode: "bundled" }, { mode: "none" }),
});

const KINDS = [
  { engine: "llamacpp", model: "hf://acme/kind-GGUF/kind.gguf" },
  { engine: "openai", baseUrl: "http://kind.example:8000/v1", apiKey: { secret: "upstreamKey" } },
];

const secrets = { upstreamKey: "sk-PLANTED-upstream-0123456789", hfToken: "hf_PLANTED_0123456789abcdefghij" };
const render = (values: Record<string, unknown>) => renderKubernetes(clusterPlan(values, { secrets }));

/** Names of different models may make one name of a container, which the config's checks refuse. */
const isDistinct = (given: Record<string, unknown>) =>
  new Set(Object.keys(given).map((name) => name.replaceAll(".", "-"))).size === Object.keys(given).length;

test("the same stack gives the same objects in the same order", () => {
  fc.assert(
    fc.property(stack, (values) => {
      fc.pre(isDistinct(values.models));
      expect(JSON.stringify(render(structuredClone(values)))).toBe(JSON.stringify(render(values)));
    }),
    runs(5),
  );
});

test("a model more changes the gateway's ConfigMap, Secret and Deployment, and what is the model's own", () => {
  fc.assert(
    fc.property(stack, word, model, (given, name, entry) => {
      // What the largest body may be that the edge lets in follows from the kinds of models, and both are there already.
      const values = { ...given, models: { ...given.models, "kind-one": KINDS[0], "kind-two": KINDS[1] } };
      fc.pre(isDistinct({ ...values.models, [name]: entry }) && !Object.hasOwn(values.models, name));
      const before = render(values);
      const after = render({ ...values, models: { ...values.models, [name]: entry } });
      const slug = name.replaceAll(".", "-");
      const key = ({ kind, metadata }: KubernetesObject) => `${kind} ${metadata.name}`;
      const known = new Map(before.objects.map((object) => [key(object), JSON.stringify(object)]));
      const changed = after.objects
        .filter((object) => known.get(key(object)) !== JSON.stringify(object))
        .map((object) => `${object.kind} ${object.metadata.name.replace(/-[0-9a-f]{12}$/, "")}`);
      const own = new RegExp(
        `^(ConfigMap gateway|Deployment gateway|(Deployment|ConfigMap|NetworkPolicy) backend-${slug}|PersistentVolumeClaim backend-${slug}-weights|Service valve-${slug}|(Job|Service) prove-${modelKey(name)})$`,
      );
      expect(changed.filter((one) => !own.test(one))).toEqual([]);
      expect(changed).toEqual(expect.arrayContaining(["ConfigMap gateway", "Deployment gateway"]));
      const gone = before.objects
        .map(key)
        .filter((one) => !after.objects.some((object) => key(object) === one));
      expect(gone.map((one) => one.replace(/-[0-9a-f]{12}$/, ""))).toEqual(["ConfigMap gateway"]);
    }),
    runs(5),
  );
});

test("a model of a kind that takes larger bodies changes the edge too, which rolls as gateways do", () => {
  const models = { "kind-one": KINDS[0] };
  const edge = (values: Record<string, unknown>) =>
    render(values).objects.filter(
      ({ kind, metadata }) => kind === "ConfigMap" && metadata.name.startsWith("edge-"),
    );
  expect(edge({ models })).not.toEqual(edge({ models: { ...models, "kind-two": KINDS[1] } }));
});

test("no value of a secret is in what is printed", () => {
  fc.assert(
    fc.property(stack, fc.constantFrom("names", "external"), (values, by) => {
      fc.pre(isDistinct(values.models));
      const kubernetes = { secretStore: { name: "vault" } };
      const { yaml } = manifests(clusterPlan({ ...values, kubernetes }, { secrets }), by as "names");
      for (const value of Object.values({ ...testSecrets, ...secrets })) expect(yaml).not.toContain(value);
      expect(yaml).not.toContain("PLANTED");
    }),
    runs(6),
  );
});

test("every selector finds the pods that it is for, and every mount a volume that is there", () => {
  fc.assert(
    fc.property(stack, (values) => {
      fc.pre(isDistinct(values.models));
      const { objects, secrets: hidden } = render(values);
      const named = (kind: string) =>
        objects.filter((object) => object.kind === kind).map(({ metadata }) => metadata.name);
      for (const object of objects)
        if (object.kind === "Deployment" || object.kind === "StatefulSet")
          expect(object.spec.template.metadata.labels).toMatchObject(object.spec.selector.matchLabels);
      const labels = podsOf(objects).map(([, { metadata }]) => metadata.labels);
      const finds = (selector: Record<string, string>) =>
        labels.some((own) => Object.entries(selector).every(([key, value]) => own[key] === value));
      for (const object of objects) {
        if (object.kind === "Service")
          expect([object.metadata.name, finds(object.spec.selector)]).toEqual([object.metadata.name, true]);
        if (object.kind === "PodDisruptionBudget" || object.kind === "NetworkPolicy") {
          const selector = object.kind === "NetworkPolicy" ? object.spec.podSelector : object.spec.selector;
          expect([object.metadata.name, finds(selector.matchLabels!)]).toEqual([object.metadata.name, true]);
        }
      }
      for (const [name, pod] of podsOf(objects)) {
        const volumes = pod.spec.volumes.map((volume) => volume.name);
        expect(new Set(volumes).size).toBe(volumes.length);
        for (const { volumeMounts } of containersOf(pod)) {
          expect([name, volumeMounts.filter((mount) => !volumes.includes(mount.name))]).toEqual([name, []]);
          const paths = volumeMounts.map(({ mountPath }) => mountPath);
          expect(new Set(paths).size).toBe(paths.length);
        }
        for (const volume of pod.spec.volumes) {
          if ("persistentVolumeClaim" in volume)
            expect(named("PersistentVolumeClaim")).toContain(volume.persistentVolumeClaim.claimName);
          if ("projected" in volume)
            for (const source of volume.projected.sources)
              if ("configMap" in source) expect(named("ConfigMap")).toContain(source.configMap.name);
              else expect(hidden.map(({ metadata }) => metadata.name)).toContain(source.secret.name);
        }
      }
    }),
    runs(5),
  );
});

test("names of objects are names of DNS, and labels have values that Kubernetes takes", () => {
  const odd = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._:/@+[\]-]{0,100}$/);
  fc.assert(
    fc.property(odd, (name) => {
      const { objects } = render({
        models: { [name]: { engine: "llamacpp", model: "hf://acme/a-GGUF/a.gguf" } },
      });
      for (const { kind, metadata } of objects) {
        expect([kind, metadata.name]).toEqual([
          kind,
          expect.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/),
        ]);
        if (kind === "Service" || kind === "Job")
          expect(metadata.name).toMatch(/^[a-z]([a-z0-9-]{0,61}[a-z0-9])$/);
      }
      for (const [, pod] of podsOf(objects))
        for (const [key, value] of Object.entries(pod.metadata.labels)) {
          expect(key).toMatch(/^([a-z0-9.]+\/)?[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/);
          expect(value).toMatch(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/);
        }
    }),
    runs(6),
  );
});

test("two models never share a label, whatever they are called", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (one, two) => {
      fc.pre(one !== two);
      expect(modelKey(`m${one}`)).not.toBe(modelKey(`m${two}`));
    }),
    runs(200),
  );
});

/** What the kubelet makes of a text (k8s.io/kubernetes/third_party/forked/golang/expansion). */
function expanded(text: string, variables: Record<string, string>): string {
  return text.replace(/\$(\$|\(([^)]*)\))/g, (all, dollar: string, name: string) =>
    dollar === "$" ? "$" : (variables[name] ?? all),
  );
}

test("Kubernetes fills nothing into a text of a plan", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom("$", "$$", "$(", "HOME", ")", "x", "$(HOME)")), (parts) => {
      const text = parts.join("");
      expect(expanded(literal(text), { HOME: "/tmp" })).toBe(text);
    }),
    runs(200),
  );
});
