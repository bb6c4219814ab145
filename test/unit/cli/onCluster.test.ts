import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { ON_CLUSTER, refuseOnCluster, wordsOf } from "../../../cli/onCluster";
import { buildProgram } from "../../../cli/program";
import { chooseProject } from "../../../platform/project";

let dir: string;
let verbs: Command[];

const file = (target: string) =>
  `config:\n  gpubox:target: ${target}\n  gpubox:kubernetes: { context: lab, namespace: llm }\n`;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-target-"));
  writeFileSync(join(dir, "Pulumi.yaml"), "name: gpubox\nruntime: nodejs\n");
  writeFileSync(join(dir, "Pulumi.lab.yaml"), file("kubernetes"));
  writeFileSync(join(dir, "Pulumi.box.yaml"), file("host"));
  chooseProject(dir);
  verbs = leaves(await buildProgram("1.2.3", undefined)).filter((one) =>
    one.options.some(({ long }) => long === "--stack"),
  );
});

afterAll(() => rmSync(dir, { recursive: true }));

/** Every command that does something. */
function leaves(one: Command): Command[] {
  const children = one.commands.filter((child) => child.name() !== "help");
  return children.length === 0 ? [one] : children.flatMap(leaves);
}

/** The refusal of a verb for a stack; undefined where it goes on. */
function refusal(verb: Command, stack: string): string | undefined {
  try {
    refuseOnCluster(verb, stack);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

test("the table has each command for one stack, and no other", () => {
  expect(Object.keys(ON_CLUSTER).sort()).toEqual(
    verbs
      .map(wordsOf)
      // It writes a stack's file.
      .filter((words) => words !== "import")
      .sort(),
  );
});

test("on a cluster each verb goes on, or names itself and what to do there; on a host each goes on", () => {
  for (const verb of verbs) {
    const words = wordsOf(verb);
    const said = refusal(verb, "lab");
    if (ON_CLUSTER[words] === "works" || words === "import")
      expect([words, said]).toEqual([words, undefined]);
    else {
      expect(said).toMatch(
        new RegExp(
          `^\`gpubox ${words}\` is for a box on Docker, and the stack lab is on a cluster\\.\\s+\\S.*\\.$`,
          "s",
        ),
      );
      expect(said).not.toContain("undefined");
    }
    expect([words, refusal(verb, "box")]).toEqual([words, undefined]);
    expect([words, refusal(verb, "missing")]).toEqual([words, undefined]);
  }
});

test("what to do names the stack's own cluster and namespace", () => {
  const backup = verbs.find((verb) => wordsOf(verb) === "backup")!;
  expect(refusal(backup, "lab")).toContain("kubectl --context lab -n llm create job backup-now");
});
