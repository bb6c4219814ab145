import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UserError } from "../../../platform/process";
import { requireBuiltImages } from "../../../program/builtImages";
import { everyImage } from "../../support/engines";
import { recipes, testPlan, testSecrets, tinyModel } from "../../support/stacks";

const path = process.env.PATH;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-docker-"));
  process.env.PATH = `${dir}:${path}`;
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(dir, { recursive: true });
});

/** A `docker` that has some images, and writes down what it was asked. */
function docker(says: string): void {
  const program = `#!/bin/sh\nprintf '%s\\n' "$*" > '${dir}/asked'\ncat >&2 <<'END'\n${says}\nEND\nexit 1\n`;
  writeFileSync(join(dir, "docker"), program);
  chmodSync(join(dir, "docker"), 0o755);
}
const asked = () => readFileSync(join(dir, "asked"), "utf8").trim();

const plan = testPlan();
const built = Object.values(recipes.images)
  .map(({ reference }) => reference)
  .filter((image) => !image.includes("acme"));

test.each([
  ["Docker 20", "Error: No such image: "],
  ["Docker 29", "Error response from daemon: No such image: "],
])("a fresh clone is told what to run (%s)", (_, words) => {
  docker(built.map((image) => words + image).join("\n"));
  const refusal = () => requireBuiltImages(plan);
  expect(refusal).toThrow(UserError);
  expect(refusal).toThrow("Run `gpubox up --stack test` once: it builds them");
  for (const image of built) expect(refusal).toThrow(image);
  expect(asked()).toMatch(/^-H unix:\/\/\/var\/run\/docker.sock image inspect --format \{\{.Id\}\} gpubox\//);
});

test("only missing images are named", () => {
  docker(`Error: No such image: ${built[0]}`);
  expect(() => requireBuiltImages(plan)).toThrow(`The host lacks images that no registry has: ${built[0]}.`);
});

test.each([
  ["that has them", ""],
  ["that does not answer", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."],
])("an engine %s is no reason to refuse", (_, says) => {
  docker(says);
  expect(() => requireBuiltImages(plan)).not.toThrow();
});

test("where every image comes from a registry, the engine is not asked", () => {
  docker("Error: No such image: x");
  requireBuiltImages(testPlan({ models: tinyModel }, testSecrets, everyImage));
  expect(asked).toThrow("ENOENT");
});
