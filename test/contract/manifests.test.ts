import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments, stringify } from "yaml";
import { packageDir } from "../../platform/project";

/** A project whose secrets are in a file, as without a Pulumi engine. */
const dir = mkdtempSync(join(tmpdir(), "gpubox-manifests-"));
const tiny = {
  engine: "llamacpp",
  model: "hf://Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf",
};

beforeAll(() => {
  writeFileSync(join(dir, "Pulumi.yaml"), "name: box\nruntime: nodejs\n");
  copyFileSync(join(packageDir, "models.lock.json"), join(dir, "models.lock.json"));
});
afterAll(() => rmSync(dir, { recursive: true }));

function manifests(models: Record<string, unknown>, ...words: string[]) {
  const config = {
    "gpubox:cache": { mode: "none" },
    "gpubox:database": { mode: "none" },
    "gpubox:models": models,
  };
  writeFileSync(join(dir, "Pulumi.lab.yaml"), stringify({ config }));
  const args = [join(packageDir, "bin/gpubox.cjs"), "manifests", "--stack", "lab", ...words];
  return spawnSync(process.execPath, args, { cwd: dir, encoding: "utf8" });
}

test("standard output is objects and nothing else, twice the same; what is lost goes to standard error", () => {
  const [one, two] = [manifests({ tiny }), manifests({ tiny })];
  expect([one.status, two.status, two.stdout === one.stdout]).toEqual([0, 0, true]);
  const objects = parseAllDocuments(one.stdout).map((document) => (document as { toJS(): Named }).toJS());
  expect(objects.map(({ kind }) => kind)).toContain("Deployment");
  expect(new Set(objects.slice(1).map(({ metadata }) => metadata.namespace))).toEqual(
    new Set(["gpubox-lab"]),
  );
  expect(one.stderr).toContain("made the secrets masterKey, saltKey");
  expect(two.stderr).toContain("Compared with a box on Docker it loses:\n- ");
  const secrets = JSON.parse(readFileSync(join(dir, ".gpubox/secrets.lab.json"), "utf8")) as Record<
    string,
    string
  >;
  expect(Object.keys(secrets)).toEqual(["masterKey", "saltKey"]);
  for (const value of Object.values(secrets))
    expect(`${one.stdout}${one.stderr}${two.stdout}${two.stderr}`).not.toContain(value);
});

interface Named {
  kind: string;
  metadata: { name: string; namespace?: string };
}

test("what one host alone can do is refused at once, with its path, and nothing is printed", () => {
  const { status, stdout, stderr } = manifests({
    one: { ...tiny, start: "ondemand" },
    two: { ...tiny, ulimits: { memlock: -1 } },
  });
  expect([status, stdout]).toEqual([1, ""]);
  expect(stderr).toContain("Pulumi.lab.yaml has 2 mistakes:");
  expect(stderr).toContain("gpubox:models.one.start: ");
  expect(stderr).toContain("gpubox:models.two.ulimits: ");
});

test("--json has the objects, the names of Secrets and the losses", () => {
  const { status, stdout } = manifests({ tiny }, "--json");
  const { objects, secrets, loses } = JSON.parse(stdout) as Record<string, unknown[]>;
  expect([status, objects!.length > 10, loses!.length > 3]).toEqual([0, true, true]);
  expect(Object.keys(secrets!).map((name) => name.replace(/-[0-9a-f]{12}$/, ""))).toEqual([
    ...["backend-tiny", "edge", "gateway", "prove"],
  ]);
});
