import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { imageRoles } from "../../../configs/kit/imageRoles";
import { defaultRecipes } from "../../../operations/images/buildRecipes";
import { packageDir } from "../../../platform/project";
import { recipeRoles } from "../../../platform/stack/recipes";
import { expectedResolved, readResolved, resolvedPath } from "../../../platform/stack/resolved";

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-resolved-"));
  cpSync(join(packageDir, "images"), join(dir, "images"), { recursive: true });
});
afterEach(() => rmSync(dir, { recursive: true }));

function record(images: Record<string, unknown>) {
  mkdirSync(join(dir, ".gpubox"));
  writeFileSync(
    resolvedPath(dir, "box"),
    JSON.stringify({ images, offlineModels: ["tiny"], knownModels: ["tiny"] }),
  );
}

test("without a record every engine can be planned: by recipe where there is one, else by tag", () => {
  const { images } = readResolved(dir, "box");
  expect(Object.keys(images)).toEqual([...imageRoles]);
  for (const role of imageRoles)
    expect(images[role]?.source).toBe(recipeRoles(dir).includes(role) ? "recipe" : "unresolved");
  expect(images.vllm?.reference).toBe("vllm/vllm-openai:v0.33.0");
});

test("a record counts for the roles that it has, the repository for the rest", () => {
  record({ edge: { reference: "haproxy@sha256:1", source: "digest" } });
  const resolved = readResolved(dir, "box");
  expect(resolved.images.edge).toEqual({ reference: "haproxy@sha256:1", source: "digest" });
  expect(resolved.images.sglang).toEqual({ reference: "lmsysorg/sglang:v0.5.23", source: "unresolved" });
  expect(resolved.offlineModels).toEqual(["tiny"]);
});

test("an image that was carried to the host stays carried in a preview, with the digest that is locked now", () => {
  const hex = (digit: string) => digit.repeat(64);
  const carried = (digit: string) => ({ reference: `gpubox/locked:${hex(digit)}`, source: "carried" });
  record({ edge: carried("1"), cache: carried("1") });
  const lock = JSON.parse(readFileSync(join(dir, "images/lock.json"), "utf8"));
  lock.edge = { ...lock.edge, digest: `sha256:${hex("2")}`, reason: undefined };
  writeFileSync(join(dir, "images/lock.json"), JSON.stringify(lock));
  const { images } = expectedResolved(dir, "box");
  expect([images.edge, images.cache]).toEqual([carried("2"), carried("1")]);
  expect(readResolved(dir, "box").images.edge).toEqual(carried("1"));
});

test("a record of a role that does not exist is refused", () => {
  record({ web: { reference: "x", source: "digest" } });
  expect(() => readResolved(dir, "box")).toThrow();
});

test("images of the box itself, llama.cpp's and vLLM's for the CPU, Ollama's, the monitors' and the ACME client's have recipes; those that few stacks want are not made unasked", () => {
  const wanted = ["prometheus", "alertmanager", "node-exporter", "redis-exporter", "postgres-exporter"];
  expect([...recipeRoles(packageDir)].sort()).toEqual(
    [...defaultRecipes, ...wanted, "acme", "ollama", "vllm-cpu"].sort(),
  );
  expect(defaultRecipes).toEqual(["gateway", "edge", "cache", "database", "llamacpp"]);
});
