import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import fc from "fast-check";
import { parse, parseAllDocuments } from "yaml";
import { applySecrets } from "../../../../operations/kubernetes/applySecrets";
import { manifests, secretManifests } from "../../../../operations/kubernetes/manifests";
import { manifestYaml } from "../../../../operations/kubernetes/yaml";
import { UserError } from "../../../../platform/process";
import { clusterPlan } from "../../../support/cluster";
import { runs } from "../../../support/runs";
import { testSecrets } from "../../../support/stacks";

const models = { tiny: { engine: "llamacpp", model: "hf://acme/tiny-GGUF/tiny.gguf" } };
const plan = clusterPlan({ models });

const odd = fc.constantFrom(
  "on",
  "yes",
  "null",
  "1:30",
  "0o17",
  "=",
  "a: b",
  "x\ny\n",
  " x\n",
  "x \ny",
  "\tb\n",
  "\u2028",
  "{",
);
const text = fc.oneof(odd, fc.string(), fc.string({ unit: "binary" }));
const key = text.filter((one) => one !== "__proto__");
const value = fc.oneof(text, fc.integer(), fc.boolean(), fc.array(text), fc.dictionary(key, text));

test("a document means the same to YAML 1.1, which kubectl reads, and to YAML 1.2", () => {
  fc.assert(
    fc.property(fc.dictionary(key, value, { minKeys: 1 }), (given) => {
      const file = manifestYaml([given]);
      for (const version of ["1.1", "1.2"] as const) expect(parse(file, { version })).toEqual(given);
    }),
    runs(200),
  );
});

test("it is one document an object, and files stand in it line by line", () => {
  const { yaml, objects } = manifests(plan, "names");
  expect(parseAllDocuments(yaml).map((document) => (document as { toJS(): unknown }).toJS())).toEqual(
    JSON.parse(JSON.stringify(objects)),
  );
  expect(yaml).toContain("  entrypoint.sh: |\n    #!/bin/sh\n");
  expect(yaml.match(/^kind: Secret$/m)).toBeNull();
});

test("the Secrets that must be there are named, with the files in each and no value", () => {
  const { secrets } = manifests(plan, "names");
  expect(Object.entries(secrets).map(([name, files]) => [name.replace(/-[0-9a-f]{12}$/, ""), files])).toEqual(
    [
      ["access", ["gateway.env"]],
      ["backend-tiny", ["api-key"]],
      ["backup", ["password"]],
      ["cache", ["redis.conf", "password"]],
      ["database", ["password"]],
      ["edge", ["keys.map"]],
      ["gateway", ["gateway.env"]],
      ["migrate", ["gateway.env"]],
      ["prove", ["master-key"]],
    ],
  );
});

test("ExternalSecrets make the same Secrets out of a store, file by file", () => {
  const stored = clusterPlan({
    models,
    kubernetes: { secretStore: { name: "vault", kind: "ClusterSecretStore" } },
  });
  const { objects, secrets } = manifests(stored, "external");
  const external = objects.filter(({ kind }) => kind === "ExternalSecret");
  expect(external.map(({ metadata }) => metadata.name)).toEqual(Object.keys(secrets));
  const name = Object.keys(secrets).find((one) => one.startsWith("gateway-"))!;
  expect(external.find(({ metadata }) => metadata.name === name)).toMatchObject({
    apiVersion: "external-secrets.io/v1",
    spec: {
      secretStoreRef: { name: "vault", kind: "ClusterSecretStore" },
      target: { name, immutable: true },
      data: [
        { secretKey: "gateway.env", remoteRef: { key: `gpubox-test/${name}`, property: "gateway.env" } },
      ],
    },
  });
});

test("without a store there are none", () => {
  expect(() => manifests(plan, "external")).toThrow("gpubox:kubernetes.secretStore is missing");
});

test("a Secret has the whole text of each of its files", () => {
  const made = secretManifests(plan, testSecrets) as {
    metadata: { name: string };
    stringData: Record<string, string>;
  }[];
  const prove = made.find(({ metadata }) => metadata.name.startsWith("prove-"))!;
  expect(prove).toMatchObject({ kind: "Secret", immutable: true, type: "Opaque" });
  expect(prove.stringData).toEqual({ "master-key": `${testSecrets.masterKey}\n` });
});

describe("with a kubectl", () => {
  const bin = mkdtempSync(join(tmpdir(), "gpubox-kubectl-"));
  const before = process.env.PATH;
  const kubectl = (script: string) => {
    writeFileSync(
      join(bin, "kubectl"),
      `#!/bin/sh\nprintf '%s\\n' "$@" > ${bin}/arguments\ncat > ${bin}/input\n${script}\n`,
    );
    chmodSync(join(bin, "kubectl"), 0o755);
  };
  beforeAll(() => {
    process.env.PATH = `${bin}${delimiter}${before}`;
  });
  afterAll(() => {
    process.env.PATH = before;
    rmSync(bin, { recursive: true });
  });

  test("values go to kubectl by its standard input alone, behind the namespace", async () => {
    kubectl("echo 'secret/gateway serverside-applied'");
    const { names, lines } = await applySecrets(plan, testSecrets, "lab");
    const list = JSON.parse(readFileSync(join(bin, "input"), "utf8"));
    expect(list.items.map(({ kind }: { kind: string }) => kind)).toEqual([
      "Namespace",
      ...names.map(() => "Secret"),
    ]);
    expect(JSON.stringify(list)).toContain(testSecrets.masterKey);
    expect(readFileSync(join(bin, "arguments"), "utf8").split("\n")).toEqual([
      "--context",
      "lab",
      "apply",
      "--server-side",
      "--field-manager=gpubox",
      "--force-conflicts",
      "--filename",
      "-",
      "",
    ]);
    expect(lines).toEqual(["secret/gateway serverside-applied"]);
  });

  test("what kubectl says of a failure is shown without a value", async () => {
    kubectl(`echo "refused: ${testSecrets.masterKey}" >&2; exit 1`);
    const failed = await applySecrets(plan, testSecrets).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(UserError);
    expect((failed as UserError).message).toContain("refused: [masterKey]");
    expect((failed as UserError).message).not.toContain("PLANTED");
  });
});

test("where there is no kubectl, that is said", async () => {
  const before = process.env.PATH;
  process.env.PATH = "/nowhere";
  try {
    await expect(applySecrets(plan, testSecrets)).rejects.toThrow("kubectl is not installed.");
  } finally {
    process.env.PATH = before;
  }
});
