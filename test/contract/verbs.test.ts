import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { COMMANDS } from "../../cli/commands";
import { buildProgram } from "../../cli/program";
import { packageDir } from "../../platform/project";
import { cpuAllowance, cpuSeconds } from "../support/allowance";

/** Seconds of CPU that a command which asks no host may take to start. */
const START_SECONDS = 0.6;

const program = join(packageDir, "bin/gpubox.cjs");

function gpubox(words: string[], cwd = packageDir) {
  return spawnSync(process.execPath, [program, ...words], { cwd, encoding: "utf8" });
}

/** The words of every command that does something: `job start`, `up`. */
function leaves(one: Command, path: string[] = []): string[][] {
  if (one.commands.length === 0) return [path];
  return one.commands
    .filter((child) => child.name() !== "help")
    .flatMap((child) => leaves(child, [...path, child.name()]));
}

let all: string[][];

beforeAll(async () => {
  all = leaves(await buildProgram("1.2.3", undefined));
});

test("--help lists every command with a few words on each", () => {
  const { status, stdout, stderr } = gpubox(["--help"]);
  expect([status, stderr]).toEqual([0, ""]);
  for (const { name, summary } of COMMANDS)
    expect(stdout.replace(/\s+/g, " ")).toContain(`${name} ${summary}`.replace(/\s+/g, " "));
  expect(stdout).toContain("Examples:");
  expect(stdout).toContain("Exit codes:");
});

test("the help of every command is its usage, a sentence, and a line for each option", async () => {
  const made = await buildProgram("1.2.3", undefined);
  for (const words of all) {
    const one = words.reduce<Command>((at, word) => at.commands.find((c) => c.name() === word)!, made);
    const [usage, , does] = one.helpInformation().split("\n");
    expect(usage).toMatch(new RegExp(`^Usage: gpubox ${words.join(" ")} \\[options\\]`));
    expect(does).toMatch(/^[A-Z]/);
    expect(one.description()).toMatch(/[.]$/);
    for (const option of one.options)
      expect([words.join(" "), option.description]).toEqual([words.join(" "), expect.stringMatching(/\S/)]);
    expect(one.options.map(({ long }) => long)).toContain("--json");
  }
});

test("a mistyped command is answered with the likely one, and exit code 2", () => {
  const { status, stderr } = gpubox(["docter"]);
  expect(status).toBe(2);
  expect(stderr).toBe(
    "error: unknown command 'docter'\n(Did you mean doctor?)\nAdd --help to see the usage.\n",
  );
});

test.each([
  [["gc", "--al"], "error: unknown option '--al'"],
  [["gc", "everything"], "error: too many arguments for 'gc'. Expected 0 arguments but got 1."],
  [["model", "start"], "error: missing required argument 'model'"],
  [["job", "sart", "x"], "error: unknown command 'sart'"],
  [["trajectory", "show", "--last", "0"], "error: option '--last <count>' argument '0' is invalid."],
])("%j is refused in one sentence, with where to look", (words, what) => {
  const { status, stdout, stderr } = gpubox(words as string[]);
  expect([status, stdout]).toEqual([2, ""]);
  expect(stderr.startsWith(what as string)).toBe(true);
  expect(stderr).toContain("Add --help to see the usage.");
});

describe("outside any project", () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "gpubox-nowhere-"));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  test("a command says so and what to do", () => {
    const { status, stderr } = gpubox(["plan"], dir);
    expect(status).toBe(1);
    expect(stderr).toBe(
      `error: ${dir} is not in a gpubox project: no folder above it has a Pulumi.yaml.\n` +
        "       Go to your project's folder, or make one: `gpubox init DIR`.\n",
    );
  });

  test("a folder that --project names must be one", () => {
    const { status, stderr } = gpubox(["--project", dir, "plan"]);
    expect([status, stderr]).toEqual([
      1,
      `error: ${dir} holds no Pulumi.yaml.\n       Name the folder of a gpubox project, or make one: \`gpubox init DIR\`.\n`,
    ]);
  });

  test("--project finds the project from anywhere", () => {
    const { status, stderr } = gpubox(["--project", packageDir, "plan", "--stack", "box"], dir);
    expect([status, stderr]).toEqual([0, ""]);
  });

  test("a command finds the project from one of its subfolders", () => {
    writeFileSync(join(dir, "inside"), "");
    expect(gpubox(["plan", "--stack", "box"], join(packageDir, "docs")).status).toBe(0);
  });
});

test("with --json a refusal is one JSON document on standard output, and text on standard error", () => {
  const { status, stdout, stderr } = gpubox(["plan", "--stack", "there-is-none", "--json"]);
  expect(status).toBe(1);
  const { error } = JSON.parse(stdout);
  expect(Object.keys(error)).toEqual(["what", "fix"]);
  expect(stderr).toContain(error.what);
});

test("with --json the result is one JSON document, and messages go to standard error", () => {
  const { status, stdout, stderr } = gpubox(["plan", "--stack", "box", "--json"]);
  expect(status).toBe(0);
  expect(Object.keys(JSON.parse(stdout))).toEqual(["devices", "placements", "manual", "problems"]);
  expect(stderr).toContain("MODEL");
});

test.each([[["--help"]], [["plan", "--stack", "box"]], [["job", "list", "--help"]], [["docter"]]])(
  "%j starts within 0.6 s of CPU",
  (words) => {
    let least = Number.POSITIVE_INFINITY;
    for (let tries = 0; tries < 3 && least >= START_SECONDS; tries++)
      least = Math.min(least, cpuSeconds(process.execPath, [program, ...words], packageDir));
    expect(least).toBeLessThan(cpuAllowance(START_SECONDS, least));
  },
);

test("a verb that was an npm script names the command that replaced it", () => {
  const { scripts } = JSON.parse(readFileSync(join(packageDir, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const moved = Object.keys(scripts).filter((name) => scripts[name] === "node cli/moved.cjs");
  const tops = COMMANDS.map(({ name }) => name);
  for (const name of moved) expect(tops).toContain(name);
  const { status, stderr } = spawnSync("npm", ["run", "--silent", "doctor", "--", "--stack", "box"], {
    cwd: packageDir,
    encoding: "utf8",
  });
  expect(status).toBe(2);
  expect(stderr).toBe(
    "error: `npm run doctor` is now `npx gpubox doctor`.\n" +
      "       Options follow directly, without `--`: `npx gpubox doctor --help`.\n",
  );
});

test("a reader that closes the pipe does not interrupt a command", () => {
  const command = `'${process.execPath}' '${program}' plan --stack box | true; echo "\${PIPESTATUS[0]}"`;
  const { stdout, stderr } = spawnSync("bash", ["-c", command], { cwd: packageDir, encoding: "utf8" });
  expect([stdout, stderr]).toEqual(["0\n", ""]);
});

test.each(["../../etc/x", "a/b", "--base", "a b", "a\n## b", ""])(
  "an impossible stack name is refused before anything is read: %j",
  (name) => {
    const { status, stderr } = gpubox(["plan", `--stack=${name}`]);
    expect(status).toBe(1);
    expect(stderr).toContain("cannot be a stack's name.\n       Write the <stack> of Pulumi.<stack>.yaml");
  },
);
