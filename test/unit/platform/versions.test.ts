import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { UserError } from "../../../platform/process";
import { readStackFile, rememberedVersion, rememberVersion } from "../../../platform/stack/stackConfig";
import { packageVersion, refuseNewerStack, versionAtLeast } from "../../../platform/versions";

const part = fc.nat({ max: 99 });
const version = fc.tuple(part, part, part);

test("versions are in the order of their numbers, and a pre-release counts as its release", () => {
  const order = (a: number[], b: number[]) => a[0]! - b[0]! || a[1]! - b[1]! || a[2]! - b[2]!;
  fc.assert(
    fc.property(version, version, (a, b) => {
      expect(versionAtLeast(a.join("."), b.join("."))).toBe(order(a, b) >= 0);
      expect(versionAtLeast(`v${a.join(".")}-alpha.1`, b.join("."))).toBe(order(a, b) >= 0);
    }),
  );
});

test("this package's own version, older ones, and none at all are accepted", () => {
  for (const written of [packageVersion(), "0.0.1", undefined, 3])
    expect(() => refuseNewerStack("dev", written)).not.toThrow();
});

test("a newer one is refused with both versions and the command that updates the package", () => {
  expect(() => refuseNewerStack("dev", "99.1.2")).toThrow(
    new UserError(
      `Pulumi.dev.yaml was brought up by gpubox 99.1.2, and this is gpubox ${packageVersion()}.`,
      "Update the package: `npm install gpubox@99.1.2`.",
    ),
  );
});

test("a text that is not a version never becomes part of a command", () => {
  const noVersion = fc.string().filter((text) => !/^v?\d+\.\d+\.\d+/.test(text));
  fc.assert(
    fc.property(noVersion, (written) => {
      expect(() => refuseNewerStack("dev", written)).toThrow(
        "Remove that line; `gpubox up` writes it again.",
      );
    }),
  );
});

describe("a stack's file", () => {
  let dir: string;
  const file = () => join(dir, "Pulumi.dev.yaml");
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "gpubox-versions-"));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  test("that a newer package brought up is refused, and not changed", () => {
    const text = "# ours\nconfig:\n  gpubox:version: 99.0.0\n  gpubox:models: {}\n";
    writeFileSync(file(), text);
    expect(() => readStackFile(dir, "dev", {})).toThrow("Pulumi.dev.yaml was brought up by gpubox 99.0.0");
    expect(readFileSync(file(), "utf8")).toBe(text);
  });

  test("records the version that brought it up, and keeps what a person wrote", () => {
    writeFileSync(file(), "# ours\nconfig:\n  gpubox:models: {} # none yet\n");
    expect(rememberedVersion(dir, "dev")).toBeUndefined();
    rememberVersion(dir, "dev");
    expect(rememberedVersion(dir, "dev")).toBe(packageVersion());
    expect(readFileSync(file(), "utf8")).toContain("# ours\nconfig:\n  gpubox:models: {} # none yet\n");
    expect(() => readStackFile(dir, "dev", {})).not.toThrow();
  });
});
