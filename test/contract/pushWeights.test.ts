import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LockedSource } from "../../configs/models/facts";
import { pushWeights } from "../../operations/models/pushWeights";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { scratch } from "../support/allocate";
import { needs } from "../support/needs";

const HOST = "unix:///var/run/docker.sock";
/** Nobody listens there: what is pushed is never asked for. */
const NO_HUB = "http://127.0.0.1:9";
const FILES = { "config.json": "{}\n", "onnx/model.bin": "0123456789".repeat(300_000) };

needs("docker", "the image gpubox/gateway")("weights that are carried to a host without a hub", () => {
  const dir = scratch("push");
  const [from, modelsDir] = [join(dir, "from"), join(dir, "models")];
  const folder = join(modelsDir, "hf/acme/tiny/c0ffee");
  const log: string[] = [];
  const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
  const locked = {
    revision: "c0ffee",
    files: Object.entries(FILES).map(([path, text]) => ({ path, bytes: text.length, sha256: sha256(text) })),
  } as LockedSource;
  const push = (change: Partial<Parameters<typeof pushWeights>[0]> = {}) =>
    pushWeights({
      ...{ docker: HOST, image: recipeReference(packageDir, "gateway"), endpoint: NO_HUB, modelsDir, from },
      fetchScript: readFileSync(join(packageDir, "assets/weights/fetch.py"), "utf8"),
      source: "hf://acme/tiny",
      locked,
      log: (line) => log.push(line),
      ...change,
    });
  const there = (path: string) => readFileSync(join(folder, path), "utf8");

  beforeEach(() => {
    for (const [path, text] of Object.entries(FILES)) {
      mkdirSync(join(from, path, ".."), { recursive: true });
      writeFileSync(join(from, path), text);
    }
    rmSync(modelsDir, { recursive: true, force: true });
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  test("arrive whole, are readable by every server, and a second time nothing is sent", async () => {
    const bytes = Object.values(FILES).join("").length;
    expect(await push()).toEqual({ folder, bytes });
    for (const [path, text] of Object.entries(FILES)) {
      expect(there(path) === text).toBe(true);
      expect(statSync(join(folder, path)).mode & 0o777).toBe(0o644);
      expect(existsSync(join(folder, `${path}.part`))).toBe(false);
    }
    expect(await push()).toEqual({ folder, bytes: 0 });
  });

  test("go on where they were cut, and what is not the locked file there is thrown away", async () => {
    await push();
    const path = "onnx/model.bin";
    const part = (text: string) => {
      rmSync(join(folder, path));
      writeFileSync(join(folder, `${path}.part`), text);
    };
    part(FILES[path].slice(0, 1_000_000));
    expect((await push()).bytes).toBe(2_000_000);
    expect(there(path) === FILES[path]).toBe(true);
    part("x".repeat(1_000_000));
    await expect(push()).rejects.toThrow(
      /^The files of acme\/tiny did not arrive whole: error: onnx\/model\.bin has the sha256 [0-9a-f]{64} and the lock file [0-9a-f]{64}; what was downloaded is removed\. Run the command again/,
    );
    expect((await push()).bytes).toBe(3_000_000);
    expect(there(path) === FILES[path]).toBe(true);
  });

  test("are compared with the lock before anything is sent", async () => {
    const path = join(from, "onnx/model.bin");
    writeFileSync(path, FILES["onnx/model.bin"].replace("0", "1"));
    await expect(push()).rejects.toThrow(
      /model\.bin has the sha256 [0-9a-f]{64}, and the lock says [0-9a-f]{64}\./,
    );
    truncateSync(path, 5);
    await expect(push()).rejects.toThrow("has 5 bytes, and the lock says 3000000 bytes.");
    rmSync(path);
    await expect(push()).rejects.toThrow("does not exist, and the lock says 3000000 bytes.");
    await expect(push({ source: "file:///srv/models/m.gguf" })).rejects.toThrow(
      "is a path of the host itself.",
    );
    expect(existsSync(modelsDir)).toBe(false);
  });
});
