import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { has, needs, sayMissing } from "../support/needs";

const folder = join(__dirname, "engines");
const python = (...args: string[]) =>
  spawnSync("python3", args, {
    cwd: folder,
    encoding: "utf8",
    timeout: 600_000,
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
  });

const hasPython = has("python3");

const pinned = Object.keys(JSON.parse(readFileSync(join(folder, "versions.json"), "utf8")));

// Before the tests are known: only a release that cannot be fetched is skipped, and by name.
const checked = hasPython ? check() : undefined;
const states = new Map(checked?.stdout.split("\n").map((line) => line.split(/: (.*)/) as [string, string]));
const unreachable = pinned.filter((engine) => states.get(engine)?.startsWith("unreachable"));
for (const engine of unreachable) sayMissing(`the release of ${engine} (${states.get(engine)})`);

/**
 * What the extraction says of the committed contract. Releases are pinned, so the same sources say the same again: a check that found
 * no difference is remembered beside the releases. `npm run test:soak` does it anew.
 */
function check(): { stdout: string; stderr: string } {
  const cache = process.env.GPUBOX_CONTRACT_CACHE ?? join(homedir(), ".cache", "gpubox-contract");
  const remembered = join(cache, `checked-${digestOf(folder)}.txt`);
  if (!process.env.GPUBOX_SOAK && existsSync(remembered))
    return { stdout: readFileSync(remembered, "utf8"), stderr: "" };
  const { status, stdout, stderr } = python("extract.py", "--check");
  const same = stdout.split("\n").filter((line) => line.endsWith(": same"));
  if (status === 0 && stderr === "" && same.length === pinned.length) {
    mkdirSync(cache, { recursive: true });
    writeFileSync(remembered, stdout);
  }
  return { stdout, stderr };
}

/** Of every file below a folder, and of the Python that reads them. */
function digestOf(path: string): string {
  const hash = createHash("sha256").update(python("--version").stdout);
  for (const name of readdirSync(path, { recursive: true, encoding: "utf8" }).sort())
    if (statSync(join(path, name)).isFile() && !name.endsWith(".pyc"))
      hash.update(name).update(readFileSync(join(path, name)));
  return hash.digest("hex").slice(0, 16);
}

needs("python3")("released code", () => {
  for (const engine of pinned) {
    (unreachable.includes(engine) ? test.skip : test)(
      `of ${engine} accepts what the committed contract says`,
      () => {
        expect({ [engine]: states.get(engine), errors: checked?.stderr }).toEqual({
          [engine]: "same",
          errors: "",
        });
      },
    );
  }

  test("is read by parsers that stop at an unknown shape", () => {
    const { status, stderr } = python("-m", "unittest", "discover", "-t", ".", "-s", "extract/tests");
    expect(`${status} ${stderr}`).toMatch(/^0 [\s\S]*\nOK\n$/);
  });
});

test("of a gateway is the release that its image is built from", () => {
  const requirements = readFileSync(join(__dirname, "../../images/gateway/requirements.in"), "utf8");
  const { litellm } = JSON.parse(readFileSync(join(folder, "versions.json"), "utf8"));
  expect(requirements).toContain(`litellm[proxy]==${litellm.version}\n`);
});
