import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { SHELLS } from "../../cli/completionScripts";
import { packageDir } from "../../platform/project";
import { needs } from "../support/needs";

const program = join(packageDir, "bin/gpubox.cjs");

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-completion-"));
  writeFileSync(join(dir, "Pulumi.yaml"), "name: gpubox\n");
  const models = { "qwen3-8b": {}, "glm-4.5": {}, "$(touch ran)": {}, "two words": {} };
  writeFileSync(join(dir, "Pulumi.lab.yaml"), stringify({ config: { "gpubox:models": models } }));
  // On PATH, so that no script makes a function of the name.
  writeFileSync(join(dir, "gpubox"), "#!/bin/sh\n");
  chmodSync(join(dir, "gpubox"), 0o755);
});
afterAll(() => rmSync(dir, { recursive: true }));

/** How a shell is asked for the completions of a line, each as a line of its own. */
const ASK: Record<(typeof SHELLS)[number], (words: string[]) => string> = {
  bash: (words) =>
    `source "$SCRIPT" || exit 9
     COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
     _gpubox; printf '%s\\n' "\${COMPREPLY[@]}"`,
  zsh: (words) =>
    // The two functions that only a line editor has.
    `compdef() { }; _describe() { local -a all; all=("\${(@P)2}"); print -rl -- "\${(@)all%%:*}" }; _files() { }
     source "$SCRIPT" || exit 9
     words=(${words.map((word) => `'${word}'`).join(" ")}); CURRENT=${words.length}
     _gpubox`,
  fish: (words) =>
    `source "$SCRIPT"; or exit 9
     complete -C '${words.join(" ")}'`,
};

/** The words that a shell offers. */
function offered(shell: (typeof SHELLS)[number], words: string[]): string[] {
  const env = {
    ...{ PATH: `${dir}:${process.env.PATH}`, HOME: dir, TERM: "dumb" },
    ...{ SCRIPT: join(dir, `completion.${shell}`) },
  };
  const { status, stdout, stderr } = spawnSync(shell, ["-c", ASK[shell](words)], {
    cwd: dir,
    env,
    encoding: "utf8",
  });
  expect([status, stderr]).toEqual([0, ""]);
  return stdout
    .split("\n")
    .map((line) => line.split("\t")[0]!)
    .filter(Boolean);
}

for (const shell of SHELLS) {
  needs(shell)(`in ${shell}`, () => {
    beforeAll(() => {
      const made = spawnSync(process.execPath, [program, "completion", shell], { encoding: "utf8" });
      expect([made.status, made.stderr]).toEqual([0, ""]);
      writeFileSync(join(dir, `completion.${shell}`), made.stdout);
    });

    test.each<[string, string[], string[]]>([
      ["a command", ["gpubox", "do"], ["doctor", "down"]],
      ["a command of a group", ["gpubox", "job", "st"], ["start", "stop"]],
      ["an option", ["gpubox", "gc", "--js"], ["--json"]],
      ["an option's choice", ["gpubox", "up", "--engine", ""], ["compose", "pulumi"]],
      ["an argument's choice", ["gpubox", "connect", "claude"], ["claude-code"]],
      ["a stack", ["gpubox", "plan", "-s", ""], ["lab"]],
    ])("%s is completed", (_, words, expected) => {
      expect(offered(shell, words).sort()).toEqual(expected);
    });

    test("a model is one of the stack's, and no name is ever run", () => {
      expect(offered(shell, ["gpubox", "model", "stop", "--stack", "lab", ""]).sort()).toEqual([
        "glm-4.5",
        "qwen3-8b",
      ]);
      expect(spawnSync("ls", [dir], { encoding: "utf8" }).stdout).not.toContain("ran");
    });
  });
}

test("outside a project, and where a stack's file has mistakes, Tab says nothing", () => {
  writeFileSync(join(dir, "Pulumi.broken.yaml"), "config: [\n");
  for (const [cwd, stack] of [
    [tmpdir(), "lab"],
    [dir, "broken"],
  ]) {
    const words = ["completion", "bash", "--", "model", "start", "--stack", stack!, ""];
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...words], {
      cwd,
      encoding: "utf8",
    });
    expect([status, stdout, stderr]).toEqual([0, "", ""]);
  }
});
