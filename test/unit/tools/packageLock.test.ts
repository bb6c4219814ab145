import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { packageDir } from "../../../platform/project";

const lock = z
  .object({
    packages: z.record(
      z.string(),
      z.object({ integrity: z.string().optional(), resolved: z.string().optional() }),
    ),
  })
  .parse(JSON.parse(readFileSync(join(packageDir, "package-lock.json"), "utf8")));

/** Every package that `npm ci` may fetch, those of other systems too. The entry without a name is the project itself. */
const packages = Object.entries(lock.packages).filter(([name]) => name !== "");

test("npm checks every package that it fetches, on every system", () => {
  expect(packages.length).toBeGreaterThan(100);
  const unchecked = packages.filter(
    ([, { integrity }]) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity ?? ""),
  );
  expect(unchecked.map(([name]) => name)).toEqual([]);
});

test("the lock names no registry, so that it is fetched from the one that the machine has", () => {
  expect(packages.filter(([, { resolved }]) => resolved !== undefined).map(([name]) => name)).toEqual([]);
});
