import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cannedWeights } from "../../../configs/engines/source";
import { renderText } from "../../../configs/kit/text";
import { packageDir } from "../../../platform/project";
import { loadAssets } from "../../../platform/stack/assets";

test("what a cluster runs for the model that comes with gpubox writes its file once, and leaves it", () => {
  const modelsDir = mkdtempSync(join(tmpdir(), "gpubox-canned-"));
  try {
    mkdirSync(modelsDir, { recursive: true });
    const cannedModel = loadAssets(packageDir)["llamacpp/canned.gguf.gz.b64"]!;
    const weights = cannedWeights({ cannedModel, modelsDir, toolsImage: "edge" } as never);
    const [{ inside, stdin }] = weights.fetch as [(typeof weights.fetch)[number]];
    const [program, ...words] = inside!.command as [string, ...string[]];
    const write = () => spawnSync(program, words, { input: renderText(stdin!, {}), encoding: "utf8" });
    expect([write().status, readFileSync(weights.path).subarray(0, 4).toString()]).toEqual([0, "GGUF"]);
    const { ino } = statSync(weights.path);
    const hash = createHash("sha256").update(readFileSync(weights.path)).digest("hex");
    expect(write()).toMatchObject({ status: 0, stderr: "" });
    expect(statSync(weights.path).ino).toBe(ino);
    expect(createHash("sha256").update(readFileSync(weights.path)).digest("hex")).toBe(hash);
  } finally {
    rmSync(modelsDir, { recursive: true });
  }
});
