import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeStack, pulumi } from "../bench/pulumi";
import { needs } from "../support/needs";

needs("pulumi")("the bench's own stacks", () => {
  const dir = mkdtempSync(join(tmpdir(), "gpubox-bench-passphrase-"));
  const before = { ...process.env };
  afterAll(() => {
    process.env = before;
    rmSync(dir, { recursive: true });
  });

  test("are encrypted with their own passphrase and lie in their own folder, whatever the person's shell says", async () => {
    process.env = {
      ...before,
      PULUMI_CONFIG_PASSPHRASE: "the person's",
      PULUMI_CONFIG_PASSPHRASE_FILE: join(dir, "no such file"),
      PULUMI_BACKEND_URL: "file:///no/such/folder",
    };
    writeFileSync(
      join(dir, "Pulumi.yaml"),
      "name: empty\nruntime: yaml\nbackend: { url: 'file://.gpubox/state' }\n",
    );
    const program = { dir, stack: "empty", env: {} };
    await makeStack(program);
    // Fails with another passphrase than that which the stack was made with.
    await pulumi(program, ["config", "set", "--secret", "word", "kept"]);
    await pulumi(program, ["config", "get", "word"]);
    expect(readFileSync(join(dir, "Pulumi.empty.yaml"), "utf8")).toMatch(/encryptionsalt: v1:/);
    process.env = { ...before, PULUMI_CONFIG_PASSPHRASE: "another person's" };
    await pulumi(program, ["config", "get", "word"]);
  });
});
