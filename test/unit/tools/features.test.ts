import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { engines } from "../../../configs/engines";
import { llamacpp } from "../../../configs/engines/llamacpp";
import { imageRoles } from "../../../configs/kit/imageRoles";
import { packageDir } from "../../../platform/project";
import { featureCells, featuresMarkdown } from "../../../tools/featureTable/features";

const page = readFileSync(join(packageDir, "docs/features.md"), "utf8");
/** The tables of engines: the first one of the page is about routes. */
const tables = page.split(/^## /m).slice(2, 7);
const cells = Object.entries(featureCells()).flatMap(([engine, row]) =>
  Object.entries(row).map(([feature, cell]) => ({ engine, feature, ...cell })),
);

/** The registry with llama.cpp's features replaced. */
function withFeatures(features: unknown): Record<string, unknown> {
  return { llamacpp: { ...llamacpp, features } };
}

test("docs/features.md matches the registry", () => {
  expect(page).toBe(featuresMarkdown());
});

test("every engine has a row in every table, and engines without containers have none about containers", () => {
  const rows = tables.map((table) => [...table.matchAll(/^\| ([a-z][a-z-]+) +\|/gm)].map(([, name]) => name));
  const all = Object.keys(engines);
  const contained = all.filter((name) => !["openai", "cloud"].includes(name));
  expect(rows).toEqual([all, all, all, contained, contained].map((names) => ["engine", ...names]));
});

test("every cell of the page ends with how it is known", () => {
  const written = [...tables.join("\n").matchAll(/^\| (?!engine |-)[a-z-]+ +\| (.*) \|$/gm)].flatMap(
    ([, row]) => row!.split("|").map((cell) => cell.trim()),
  );
  expect(written).toHaveLength(cells.length);
  expect(
    written.filter((cell) => !/. \((contract|vendor|gpubox|\[(run here|recorded)\]\([^)]+\))\)$/.test(cell)),
  ).toEqual([]);
});

test("a cell without a word on how it is known cannot be rendered", () => {
  const drain = { cell: "no: streams are cut" };
  const says = { ...llamacpp.features.says, drain };
  expect(() => featuresMarkdown(withFeatures({ ...llamacpp.features, says }))).toThrow(
    "Nothing says how drain of llamacpp is known.",
  );
});

test("a feature without a word from the registry or the engine cannot be rendered", () => {
  const { drain: _, ...says } = llamacpp.features.says ?? {};
  expect(() => featuresMarkdown(withFeatures({ ...llamacpp.features, says }))).toThrow(
    "Nothing says what llamacpp has of drain: add it to its features.",
  );
});

test("an example that its own engine refuses cannot be rendered", () => {
  const features = { ...llamacpp.features, example: "hf://owner/safetensors" };
  expect(() => featuresMarkdown(withFeatures(features))).toThrow(
    "llamacpp refuses its own example hf://owner/safetensors",
  );
});

const ran = cells.flatMap((cell) => (cell.known === "run here" ? [cell] : []));
const recorded = cells.flatMap((cell) => (cell.known === "recorded" ? [cell] : []));

test.each([...ran, ...recorded])(
  "$feature of $engine was $known by a test that exists and names the engine",
  ({ engine, test }) => {
    expect([test, existsSync(join(packageDir, test))]).toEqual([test, true]);
    expect(readFileSync(join(packageDir, test), "utf8")).toContain(engine);
  },
);

test("every test that an engine claims is the proof of each cell that it is claimed for", () => {
  const claims = Object.entries(engines).flatMap(([engine, { features }]) =>
    Object.entries({ ...features.ran, ...features.recorded }).flatMap(([file, claimed]) =>
      claimed.map((one) => `${engine} ${one} ${file}`),
    ),
  );
  expect(
    [...ran, ...recorded].map(({ engine, feature, test }) => `${engine} ${feature} ${test}`).sort(),
  ).toEqual(claims.sort());
});

test("only llama.cpp, vLLM and Ollama have been run", () => {
  expect([...new Set(ran.map(({ engine }) => engine))]).toEqual(["llamacpp", "vllm", "ollama"]);
});

test("a no that gpubox decides is not called the server's", () => {
  const { llamacpp, sglang } = featureCells();
  expect([llamacpp?.speech, sglang?.rerank, sglang?.cpu]).toEqual([
    { text: "no", known: "gpubox" },
    { text: "no", known: "gpubox" },
    { text: "no", known: "gpubox" },
  ]);
});

test("a mode whose route the engine's own valve closes cannot be rendered", () => {
  const registry = { speaches: { ...engines.speaches, routes: () => ["/v1/audio/speech"] } };
  expect(() => featuresMarkdown(registry)).toThrow(
    "speaches has mode audio_transcription, and its valve closes /v1/audio/transcriptions",
  );
});

test("images, keys and the end of a server are those of its entries", () => {
  const { vllm, "text-embeddings-inference": tei, ollama } = featureCells();
  expect(vllm?.drain?.text).toBe("`shutdownTimeout`; killed after 90 s");
  expect(tei?.cuda?.text).toBe(
    imageRoles
      .filter((role) => /^tei-\d/.test(role))
      .map((role) => `\`${role}\``)
      .join(", "),
  );
  expect([tei?.rocm?.text, tei?.arm64Cuda?.text]).toEqual(["no", "`tei-121`"]);
  expect([vllm?.apiKey?.text, ollama?.apiKey?.text]).toEqual(["yes", "no: it knows none"]);
  expect([vllm?.weights?.text, ollama?.weights?.text]).toEqual(["safetensors", "Ollama's names"]);
});
