import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { packageDir } from "../../platform/project";
import type { Identities } from "../support/identities";
import { registered } from "../support/mocks";
import { boxIdentities, jobIdentities } from "../support/upgradeIdentities";
import { upgradeStacks } from "../support/upgradeStacks";

/**
 * Names in the boxes of the previous release, commit 11e648c. Made in a checkout of it, by the same functions, from the same
 * stacks: test/support has both.
 */
const before = JSON.parse(readFileSync(join(packageDir, "test/fixtures/previousRelease.json"), "utf8")) as {
  stacks: Record<string, Identities>;
  jobs: { eval: ReturnType<typeof jobIdentities> };
};

/** Names of before that nothing has now: what a rename leaves behind. */
function lost(was: Partial<Identities>, is: Partial<Identities>, aliases: string[] = []): string[] {
  return Object.entries(was).flatMap(([kind, names]) => {
    const known = new Set([...(is[kind as keyof Identities] ?? []), ...aliases]);
    return names.filter((name) => !known.has(name)).map((name) => `${kind}: ${name}`);
  });
}

test("the fixture has a box of each stack, and in them every kind of name", () => {
  expect(Object.keys(before.stacks)).toEqual(Object.keys(upgradeStacks));
  for (const names of Object.values(before.stacks))
    expect(Math.min(...Object.values(names).map(({ length }) => length))).toBeGreaterThan(0);
  const kinds = Object.values(before.stacks).flatMap(({ resources }) =>
    resources.flatMap((name) => /(?:^|\$)gpubox:index:(\w+)::/.exec(name)?.[1] ?? []),
  );
  expect([...new Set(kinds)].sort()).toEqual([
    ...["Backend", "Box", "Cache", "Certificates", "Database", "Edge", "Gateway", "Host", "HostFiles"],
    ...["Monitor", "Observability", "Server", "Slot", "Valve"],
  ]);
});

test.each(Object.keys(upgradeStacks))(
  "%s: no resource, container, network, volume or file is renamed",
  async (stack) => {
    const { all, identities } = await boxIdentities(stack);
    const aliases = all.flatMap((one) => one.aliases);
    expect(lost(before.stacks[stack]!, identities, aliases)).toEqual([]);
  },
);

test("a job's container, networks and files keep their names", () => {
  expect(lost(before.jobs.eval, jobIdentities())).toEqual([]);
});

test("a renamed resource is noticed, and an alias makes up for it", async () => {
  class Part extends pulumi.ComponentResource {
    constructor(name: string, opts?: pulumi.ComponentResourceOptions) {
      super("gpubox:index:Part", name, {}, opts);
    }
  }
  const whole = (part: string, aliases: pulumi.Alias[] = []) =>
    registered(() => new Part(part, { parent: new Part("whole"), aliases }));
  const namesOf = (all: Awaited<ReturnType<typeof whole>>) => ({
    resources: all.filter(({ type }) => type.startsWith("gpubox:")).map(({ identity }) => identity),
  });
  const was = namesOf(await whole("old"));
  const renamed = await whole("new");
  expect(lost(was, namesOf(renamed))).toEqual(["resources: gpubox:index:Part$gpubox:index:Part::old"]);
  const aliased = await whole("new", [{ name: "old" }]);
  expect(
    lost(
      was,
      namesOf(aliased),
      aliased.flatMap((one) => one.aliases),
    ),
  ).toEqual([]);
});
