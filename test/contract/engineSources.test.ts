import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
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
const checked = hasPython ? python("extract.py", "--check") : undefined;
const states = new Map(checked?.stdout.split("\n").map((line) => line.split(/: (.*)/) as [string, string]));
const unreachable = pinned.filter((engine) => states.get(engine)?.startsWith("unreachable"));
for (const engine of unreachable) sayMissing(`the release of ${engine} (${states.get(engine)})`);

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

  test("is read by parsers that know each shape, and stop at one that they do not know", () => {
    const { status, stderr } = python("-m", "unittest", "discover", "-t", ".", "-s", "extract/tests");
    expect(`${status} ${stderr}`).toMatch(/^0 [\s\S]*\nOK\n$/);
  });
});

test("of a gateway is that which its image is built from", () => {
  const requirements = readFileSync(join(__dirname, "../../images/gateway/requirements.in"), "utf8");
  const { litellm } = JSON.parse(readFileSync(join(folder, "versions.json"), "utf8"));
  expect(requirements).toContain(`litellm[proxy]==${litellm.version}\n`);
});
