import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { importStack } from "../../../../operations/import/importStack";
import { keptOf, targetOf } from "../../../../operations/import/write";
import { bringSecrets } from "../../../../platform/stack/secrets";
import { scratch } from "../../../support/allocate";
import { imported } from "../../../support/imported";

const refused = (text: string, name = "config.yaml") =>
  imported({ [name]: text }).then(
    () => "accepted",
    (error: unknown) => (error as Error).message,
  );

test.each([
  [
    "a tab",
    "model_list:\n\t- model_name: m\n",
    "config.yaml:2:1: a tab indents this line, and YAML takes spaces only. Replace the tab.",
  ],
  [
    "a key twice",
    "model_list: []\nlitellm_settings: {}\nmodel_list: []\n",
    "config.yaml:3:1: this key stands twice in one map. Remove one of the two: other programs silently take the last.",
  ],
  [
    "an anchor that is not there",
    "model_list:\n  - *nowhere\n",
    "config.yaml:2:5: nothing above has the anchor &nowhere. Write the anchor before its first use.",
  ],
  [
    "an anchor around its own use",
    "general: &a\n  deep: [1, *a]\nmodel_list: *a\n",
    "config.yaml:2:13: the value with the anchor &a holds itself. Write out what is meant here.",
  ],
  [
    "a second document",
    "model_list: []\n---\nmodel_list: []\n",
    "config.yaml:2:1: a second document begins here, and one file is read as one.",
  ],
  [
    "a tag of Compose's own",
    "services:\n  a:\n    ports: !reset []\n",
    "config.yaml:3:12: a tag that no plain YAML has. Write the value without it, or import what `docker compose config` prints.",
  ],
  ["a file of something else", "hello: 1\n", "is none of the files that gpubox can import."],
])("%s is told with its place", async (_, text, message) => {
  expect(await refused(text)).toContain(message);
});

test("a mistake in YAML quotes nothing of the file, which may hold a key", async () => {
  const said = await refused("model_list: [1\nkey: sk-PLANTED-0123456789\n");
  expect(said).toMatch(/^config\.yaml:2:1: this is no valid YAML/);
  expect(said).not.toContain("PLANTED");
});

test("anchors and merge keys are resolved", async () => {
  const { values } = await imported({
    "config.yaml": `
x: &shared { api_key: none, rpm: 5 }
model_list:
- { model_name: m, litellm_params: { <<: *shared, model: groq/a } }
- { model_name: n, litellm_params: { <<: *shared, model: groq/b, rpm: 7 } }
`,
  });
  expect(values.models).toEqual({
    m: { engine: "cloud", model: "groq/a", apiKey: "none", rpm: 5 },
    n: { engine: "cloud", model: "groq/b", apiKey: "none", rpm: 7 },
  });
});

test("a folder that nobody may read is told, and a missing file too", async () => {
  const folder = join(scratch("import"), "closed");
  mkdirSync(folder, { mode: 0o000 });
  const said = (source: string) =>
    importStack([source], { stack: "test" }).catch((error: Error) => error.message);
  const closed = await said(folder);
  chmodSync(folder, 0o700);
  // root may read everything.
  expect(closed).toMatch(
    process.getuid?.() === 0 ? /is neither Ollama's models nor/ : /cannot be read \(EACCES\)/,
  );
  expect(await said(join(folder, "none.yaml"))).toContain("cannot be read (ENOENT)");
});

describe("the file that is written", () => {
  const there = (text: string) => {
    const projectDir = scratch("import");
    const path = join(projectDir, "Pulumi.box.yaml");
    writeFileSync(path, text);
    return { projectDir, stack: "box", path };
  };

  test("does not replace one that is there, unless that is asked for", () => {
    expect(() => keptOf(there("config: {}\n"), false)).toThrow(
      "Pulumi.box.yaml is there already. Name another stack, --stack NAME, or replace its sections and models with --force: its secrets stay.",
    );
  });

  test("keeps the secrets of one that it replaces", () => {
    const old = there(
      "encryptionsalt: v1:x\nconfig:\n  aws:region: eu\n  gpubox:saltKey: { secure: v1:y }\n  gpubox:saltFingerprint: f\n  gpubox:gateway: { port: 1 }\n",
    );
    expect(keptOf(old, true)).toEqual({
      top: { encryptionsalt: "v1:x" },
      config: { "aws:region": "eu", "gpubox:saltKey": { secure: "v1:y" }, "gpubox:saltFingerprint": "f" },
    });
  });

  test("has the name of its stack", () => {
    const project = () => "/p";
    expect(targetOf(undefined, "box", project).path).toBe("/p/Pulumi.box.yaml");
    expect(targetOf("/x/Pulumi.gpu1.yaml", undefined, project)).toEqual({
      ...{ projectDir: "/x", stack: "gpu1", path: "/x/Pulumi.gpu1.yaml" },
    });
    expect(() => targetOf("/x/Pulumi.a.yaml", "b", project)).toThrow("is not the file of the stack b");
    expect(() => targetOf("/x/stack.yaml", undefined, project)).toThrow("Name it Pulumi.box.yaml.");
  });

  test("has no value of a secret: those go where `up` finds them, and never over another value", () => {
    const { projectDir, stack } = there("config: {}\n");
    bringSecrets(projectDir, stack, { groqKey: "PLANTED" });
    const file = join(projectDir, ".gpubox/secrets.box.json");
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ groqKey: "PLANTED" });
    expect(() => bringSecrets(projectDir, stack, { groqKey: "other" })).toThrow(
      "has the secret groqKey already",
    );
    expect(existsSync(file)).toBe(true);
  });
});
