import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packageDir } from "../../../platform/project";

/** `asyncio.sleep(0)` takes no time: it lets others run. */
const BARE = /\b(?:time|asyncio)\.sleep\((?!0\))(?!.*# pause: \S)/;

test("no Python of the tests sleeps without a reason; Biome's rule says the same of TypeScript", () => {
  const files = readdirSync(join(packageDir, "test"), { recursive: true, encoding: "utf8" });
  const bare = files
    .filter((file) => file.endsWith(".py"))
    .flatMap((file) =>
      readFileSync(join(packageDir, "test", file), "utf8")
        .split("\n")
        .flatMap((line, index) => (BARE.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
    );
  expect(bare).toEqual([]);
  expect(BARE.test("time.sleep(3)")).toBe(true);
});
