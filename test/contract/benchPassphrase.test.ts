import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { emptyProgram } from "../bench/preview";
import { pulumi } from "../bench/pulumi";
import { needs } from "../support/needs";

// Pulumi starts four times.
jest.setTimeout(120_000);

needs("docker", "pulumi")("the bench's own program", () => {
  const before = { ...process.env };
  afterEach(() => {
    process.env = before;
  });

  test("starts, and has its own passphrase and state, whatever the person's shell says", async () => {
    process.env = {
      ...before,
      PULUMI_CONFIG_PASSPHRASE: "the person's",
      PULUMI_CONFIG_PASSPHRASE_FILE: "/no/such/file",
      PULUMI_BACKEND_URL: "file:///no/such/folder",
    };
    const program = await emptyProgram();
    try {
      process.env = { ...before, PULUMI_CONFIG_PASSPHRASE: "another person's" };
      await pulumi(program, ["preview", "--expect-no-changes"]);
      // Fails with another passphrase than that which the stack was made with.
      await pulumi(program, ["config", "set", "--secret", "word", "kept"]);
      expect(readFileSync(join(program.dir, "Pulumi.empty.yaml"), "utf8")).toMatch(/encryptionsalt: v1:/);
    } finally {
      rmSync(program.dir, { recursive: true });
    }
  });
});
