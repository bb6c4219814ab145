import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defaultProjectDir } from "../../runner/project";

const { scripts } = JSON.parse(readFileSync(join(defaultProjectDir, "package.json"), "utf8")) as {
  scripts: Record<string, string>;
};
const verbs = Object.keys(scripts).filter((name) => scripts[name]!.includes("tsx scripts/"));

/** What npm would start, without npm's own seconds. */
function verb(name: string, ...args: string[]) {
  const file = /tsx (scripts\/\S+\.ts)$/.exec(scripts[name]!)?.[1];
  const tsx = join(defaultProjectDir, "node_modules/.bin/tsx");
  return spawnSync(tsx, [file!, ...args], { cwd: defaultProjectDir, encoding: "utf8" });
}

test("what is no verb of this project is one of three tools with a help of their own", () => {
  const others = Object.keys(scripts).filter((name) => !verbs.includes(name));
  expect(others).toEqual(["lint", "format", "typecheck"]);
});

test.each(verbs)("npm run %s -- --help says in a sentence what it does, and each option", (name) => {
  // Words and a flag that do not exist: help comes before any of them is judged.
  const { status, stdout, stderr } = verb(name, "nonsense", "--nonsense", "--help");
  expect([status, stderr]).toEqual([0, ""]);
  const [usage, , does, , ...options] = stdout.trimEnd().split("\n");
  expect(usage).toMatch(new RegExp(`^npm run ${name}( \\S.*)? \\[-- OPTION …\\]$`));
  expect(does).toMatch(/^[A-Za-z].*\.$/);
  for (const line of options) expect(line).toMatch(/^ {2}(-\w, )?--[a-z-]+( \S+)? {2,}\S/);
  const flags = options.map((line) => /--[a-z-]+/.exec(line)![0]);
  expect(flags.slice(-2)).toEqual(["--json", "--help"]);
});

test("every file of scripts/ that runs a verb is a script of package.json", () => {
  const files = readdirSync(join(defaultProjectDir, "scripts")).filter((file) => {
    const text = readFileSync(join(defaultProjectDir, "scripts", file), "utf8");
    return text.includes('from "./verb"');
  });
  expect(files.map((file) => file.replace(/\.ts$/, "")).sort()).toEqual([...verbs].sort());
});

test("with --json a refusal is one JSON document on standard output, and words on standard error", () => {
  const { status, stdout, stderr } = verb("plan", "--stack", "there-is-none", "--json");
  expect(status).toBe(1);
  const { error } = JSON.parse(stdout);
  expect(Object.keys(error)).toEqual(["what", "fix"]);
  expect(stderr).toContain(error.what);
});

test("with --json the result is one JSON document, and what is said meanwhile goes to standard error", () => {
  const { status, stdout, stderr } = verb("plan", "--stack", "box", "--json");
  expect(status).toBe(0);
  expect(Object.keys(JSON.parse(stdout))).toEqual(["devices", "placements", "manual", "problems"]);
  expect(stderr).toContain("MODEL");
});

test("an unknown flag and an unknown word are refused with where to look", () => {
  expect(verb("gc", "--al").stderr).toMatch(/^error: Unknown option '--al'/);
  expect(verb("gc", "everything").stderr).toBe(
    'error: "everything" is not understood.\n       See `npm run gc -- --help`.\n',
  );
});

test("a reader that closes the pipe ends no verb in the middle", () => {
  const tsx = join(defaultProjectDir, "node_modules/.bin/tsx");
  const command = `'${tsx}' scripts/plan.ts --stack box | true; echo "\${PIPESTATUS[0]}"`;
  const { stdout, stderr } = spawnSync("bash", ["-c", command], { cwd: defaultProjectDir, encoding: "utf8" });
  expect([stdout, stderr]).toEqual(["0\n", ""]);
});

test.each(["../../etc/x", "a/b", "--base", "a b", "a\n## b", ""])(
  "what is no stack's name is refused before anything is read: %j",
  (name) => {
    const { status, stderr } = verb("plan", `--stack=${name}`);
    expect(status).toBe(1);
    expect(stderr).toContain("cannot be a stack's name.\n       Write what stands in Pulumi.<stack>.yaml");
  },
);
