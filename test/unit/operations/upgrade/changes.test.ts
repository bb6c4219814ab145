import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { type Change, changesIn, newerThan } from "../../../../operations/upgrade/changes";
import { packageDir } from "../../../../platform/project";
import { versionAtLeast } from "../../../../platform/versions";

test("a section's version is read from every usual way to write it", () => {
  const changelog =
    "# Changelog\n\nAll of it.\n\n## Unreleased\n\n- a\n\n## [0.3.0] - 2026-01-02\n\n### Changed\n\n- b\n\n## 0.2.0 (2025-12-01)\n- c\n## 0.1.0\n";
  expect(changesIn(changelog)).toEqual([
    { version: "Unreleased", text: "- a" },
    { version: "0.3.0", text: "### Changed\n\n- b" },
    { version: "0.2.0", text: "- c" },
    { version: "0.1.0", text: "" },
  ]);
});

test("this package's own changelog is read", () => {
  const changes = changesIn(readFileSync(join(packageDir, "CHANGELOG.md"), "utf8"));
  expect(changes.length).toBeGreaterThan(0);
  for (const { version, text } of changes) {
    expect(version).toMatch(/^(Unreleased|\d+\.\d+\.\d+)$/);
    expect(text).not.toBe("");
  }
});

const part = fc.nat({ max: 30 });
const version = fc.tuple(part, part, part).map((parts) => parts.join("."));
/** Lines that begin no section of their own. */
const text = fc
  .array(fc.stringMatching(/^[-a-z`# ]{0,20}$/))
  .map((lines) => lines.join("\n").trim())
  .filter((lines) => !/^## /m.test(lines));
const sections: fc.Arbitrary<Change[]> = fc.array(fc.record({ version, text }), { maxLength: 8 });
const written = (changes: Change[]) =>
  `# Changelog\n\n${changes.map(({ version, text }) => `## ${version}\n\n${text}\n`).join("\n")}`;

test("a written changelog is read back, whatever its sections say", () => {
  fc.assert(
    fc.property(sections, (changes) => {
      expect(changesIn(written(changes))).toEqual(changes);
    }),
  );
});

test("newer than a version is everything released after it, in the changelog's order, and what is unreleased", () => {
  const number = (text: string) => text.split(".").reduce((sum, part) => sum * 100 + Number(part), 0);
  fc.assert(
    fc.property(sections, version, (released, since) => {
      const changes = [{ version: "Unreleased", text: "" }, ...released];
      const expected = changes.filter(
        ({ version }) => version === "Unreleased" || number(version) > number(since),
      );
      expect(newerThan(changes, since, versionAtLeast)).toEqual(expected);
      expect(newerThan(changes, undefined, versionAtLeast)).toEqual(changes);
    }),
  );
});
