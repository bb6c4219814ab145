import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { parseStack } from "../../../configs/parse";
import { readBoxFiles } from "../../../platform/stack/boxFiles";
import { readStackFile } from "../../../platform/stack/stackConfig";
import { testSecrets } from "../../support/stacks";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-boxes-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

function write(stack: string, config: Record<string, unknown>): void {
  writeFileSync(join(dir, `Pulumi.${stack}.yaml`), stringify({ config }));
}

const boxes = (...names: string[]) =>
  Object.fromEntries(names.map((name) => [name, { key: { secret: "boxKey" } }]));
const far = { engine: "openai", baseUrl: "http://10.0.0.9/v1" };

test("a stack's file brings the files of its boxes, and of theirs, with only the names of secrets", () => {
  write("gw", { "gpubox:boxes": boxes("a") });
  write("a", {
    "gpubox:boxes": { here: { stack: "b" } },
    "gpubox:masterKey": { secure: "v1:SECRET" },
    "other:key": "x",
  });
  write("b", { "gpubox:boxes": { back: { stack: "gw" }, self: { stack: "b" } } });
  const { boxFiles } = readStackFile(dir, "gw", {});
  expect(boxFiles).toEqual({
    a: { values: { boxes: { here: { stack: "b" } } }, secrets: ["masterKey"] },
    b: { values: { boxes: { back: { stack: "gw" }, self: { stack: "b" } } }, secrets: [] },
    gw: { values: { boxes: boxes("a") }, secrets: [] },
  });
});

test("a stack without boxes reads no other file", () => {
  writeFileSync(join(dir, "Pulumi.broken.yaml"), "config: [");
  write("gw", {});
  expect(readStackFile(dir, "gw", {}).boxFiles).toEqual({});
  expect(readBoxFiles(dir, { boxes: "nonsense" })).toEqual({});
});

test("a missing or broken file is reported at its box's entry", () => {
  write("gw", { "gpubox:boxes": boxes("gpu2", "broken", "gpu") });
  write("gpu2", { "gpubox:models": { far }, "gpubox:gateway": { bind: "10.0.0.2" } });
  writeFileSync(join(dir, "Pulumi.broken.yaml"), "config: [");
  writeFileSync(join(dir, "Pulumi.gpu.example.yaml"), "config: {}");
  expect(() => parseStack(readStackFile(dir, "gw", { ...testSecrets, boxKey: "x" }))).toThrow(
    [
      "Pulumi.gw.yaml has 2 mistakes:",
      "  gpubox:boxes.broken.stack: Pulumi.broken.yaml is not a stack file: it cannot be read. `gpubox preview --stack broken` says why.",
      '  gpubox:boxes.gpu.stack: There is no Pulumi.gpu.yaml next to this file. Did you mean "gpu2"?',
    ].join("\n"),
  );
});
