import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parse, parseDocument } from "yaml";
import { z } from "zod";
import { packageDir } from "../../platform/project";
import { pinnedPulumi } from "../../platform/pulumi/engine";

const step = z.object({
  name: z.string().optional(),
  uses: z.string().optional(),
  run: z.string().optional(),
  env: z.record(z.string(), z.string()).optional(),
});
const workflow = z
  .object({
    permissions: z.record(z.string(), z.string()),
    jobs: z.record(
      z.string(),
      z.object({
        permissions: z.record(z.string(), z.string()),
        if: z.string().optional(),
        steps: z.array(step),
      }),
    ),
  })
  .parse(parse(readFileSync(join(packageDir, ".github/workflows/preview.yml"), "utf8")));

const steps = Object.values(workflow.jobs).flatMap((job) => job.steps);
const named = (name: string) => steps.find((one) => one.name === name)!;

/** Where it can be made, a network of its own with nothing in it. */
const alone = spawnSync("unshare", ["--net", "true"]).status === 0 ? ["unshare", "--net"] : [];

let home: string;
let clone: string;
let base: string;

const git = (...args: string[]) => {
  const identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
  const { status, stdout, stderr } = spawnSync("git", [...identity, ...args], {
    cwd: clone,
    encoding: "utf8",
  });
  expect([args[0], status, status === 0 || stderr]).toEqual([args[0], 0, true]);
  return stdout.trim();
};

/** A step as GitHub runs it, with nothing in its environment but what is given. */
function perform(run: string, env: Record<string, string>, folder = clone) {
  const path = `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`;
  const clean = Object.entries({ PATH: path, HOME: home, ...env }).map((pair) => pair.join("="));
  const shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", run];
  const [program, ...args] = [...alone, "env", "-i", ...clean, ...shell];
  return spawnSync(program!, args, { cwd: folder, encoding: "utf8" });
}

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "gpubox-workflow-"));
  clone = join(home, "clone");
  const files = spawnSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: packageDir });
  for (const file of files.stdout.toString().split("\n").filter(Boolean)) {
    if (!existsSync(join(packageDir, file))) continue;
    mkdirSync(dirname(join(clone, file)), { recursive: true });
    cpSync(join(packageDir, file), join(clone, file));
  }
  symlinkSync(join(packageDir, "node_modules"), join(clone, "node_modules"));
  git("init", "--quiet", "--initial-branch", "main");
  git("add", "--all");
  git("commit", "--quiet", "--message", "base");
  base = git("rev-parse", "HEAD");
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

function edit(change: (file: ReturnType<typeof parseDocument>) => void): void {
  const path = join(clone, "Pulumi.box.yaml");
  const file = parseDocument(readFileSync(path, "utf8"));
  change(file);
  writeFileSync(path, file.toString());
  git("add", "Pulumi.box.yaml");
  git("commit", "--quiet", "--message", "change");
}

test("a pull request's plan needs no secret, no state, no host and no network", () => {
  edit((file) => {
    file.setIn(["config", "gpubox:models", "kimi-linear", "maxModelLen"], 65536);
    file.setIn(["config", "gpubox:models", "nano"], {
      engine: "openai",
      baseUrl: "https://nano.example.com/v1",
      start: "manual",
    });
    file.setIn(["config", "gpubox:gateway", "port"], 4100);
  });
  // The base went on meanwhile, and lost every file: what counts is where the branch left it.
  const ahead = git(
    "commit-tree",
    git("hash-object", "-t", "tree", "-w", "/dev/null"),
    "-p",
    base,
    "-m",
    "x",
  );
  const { status, stderr } = perform(named("Plan").run!, { BASE: ahead });
  expect([status, stderr]).toEqual([0, ""]);
  const lines = readFileSync(join(clone, "preview.md"), "utf8").split("\n");
  expect(lines.slice(0, 5)).toEqual([
    "<!-- gpubox preview -->",
    "## gpubox preview: box",
    "",
    `Against ${base.slice(0, 12)}, where this branch left ${ahead}.`,
    "",
  ]);
  expect(lines[5]).toMatch(
    /^\*\*models: 1 changed, 1 added; settings: 1 changed; containers: 1 reloaded, 3 replaced; everybody waits about 10 s; kimi-linear waits at most \d+ s; no data is lost\*\*$/,
  );
  expect(lines).toEqual(
    expect.arrayContaining([
      "- changed: `kimi-linear`",
      "  - `gpubox:models.kimi-linear.maxModelLen`: `131072` → `65536`",
      "- added: `nano` (`openai`)",
      "- opened: `0.0.0.0:4100` by edge",
      "- closed: `0.0.0.0:4000` of edge",
      "- `backend-kimi-linear` replaced: the old one stops first",
      "  - because of command: `--max-model-len 131072 → 65536`",
      "- `gateway` replaced by one that starts and is proven beside it",
    ]),
  );
});

test("it is compared with its merge base, and a removed stack file is named", () => {
  expect([named("Plan").env, named("Count").env!.BASE]).toEqual([{ BASE: "HEAD^1" }, "HEAD^1"]);
  const commit = (file: string, text: string, message: string) => {
    writeFileSync(join(clone, file), text);
    git("add", "--force", file);
    git("commit", "--quiet", "--message", message);
  };
  git("checkout", "--quiet", "-b", "trunk", base);
  commit("Pulumi.old.yaml", "config: {}\n", "a second stack");
  // As the library writes it, so that the two changes below touch nothing but their own lines.
  edit((file) => file.set("encryptionsalt", "v1:salt"));
  git("checkout", "--quiet", "-b", "pull");
  git("rm", "--quiet", "Pulumi.old.yaml");
  edit((file) => {
    file.setIn(["config", "gpubox:gateway", "drainTimeout"], 61);
  });
  // Others merge meanwhile, and the pull request's event still names the commit before.
  git("checkout", "--quiet", "trunk");
  edit((file) => {
    file.setIn(["config", "gpubox:models", "kimi-linear", "maxModelLen"], 65536);
  });
  const trunk = git("rev-parse", "HEAD");
  git("checkout", "--quiet", "--detach");
  git("merge", "--quiet", "--no-ff", "--message", "the merge that GitHub makes", "pull");
  const { status, stderr } = perform(named("Plan").run!, named("Plan").env!);
  git("checkout", "--quiet", "main");
  expect([status, stderr]).toEqual([0, ""]);
  const text = readFileSync(join(clone, "preview.md"), "utf8");
  expect(text).toContain(`Against ${trunk.slice(0, 12)}, `);
  expect(text).toContain("`gpubox:gateway.drainTimeout`: not set → `61`");
  expect(text).not.toContain("maxModelLen");
  expect(text).toContain(
    "## gpubox preview: old\n\n**Pulumi.old.yaml is removed. That alone deletes nothing: its box keeps running, ",
  );
});

test("what `up` would refuse is the comment, and fails the job", () => {
  edit((file) => {
    file.setIn(["config", "gpubox:models", "kimi-linear", "maxModelLenn"], 65536);
  });
  const { status } = perform(named("Plan").run!, { BASE: base });
  expect(status).toBe(1);
  const text = readFileSync(join(clone, "preview.md"), "utf8");
  expect(text).toContain(
    "**`Pulumi.box.yaml` has a mistake: `up` would refuse it.**\n\n- `gpubox:models.kimi-linear.maxModelLenn`: ",
  );
  expect(text).toContain('Did you mean "maxModelLen"?');
});

test("a file whose name fits no stack is not in the comment and runs nothing", () => {
  const names = [
    "Pulumi.a b.yaml",
    "Pulumi.--engine.yaml",
    "Pulumi.$(touch ran).yaml",
    "Pulumi.d/e;touch ran;.yaml",
  ];
  git("checkout", "--quiet", "-b", "names", base);
  for (const name of names) {
    mkdirSync(dirname(join(clone, name)), { recursive: true });
    writeFileSync(join(clone, name), "config: {}\n");
    git("add", "--force", "--", name);
  }
  git("commit", "--quiet", "--message", "names");
  const { status } = perform(named("Plan").run!, { BASE: base });
  git("checkout", "--quiet", "main");
  expect(status).toBe(0);
  const text = readFileSync(join(clone, "preview.md"), "utf8");
  expect(text.split("\n").filter((line) => line.startsWith("## "))).toEqual(["## gpubox preview: box"]);
  expect(existsSync(join(clone, "ran"))).toBe(false);
});

describe("the comment", () => {
  /** A `gh` that writes down what it was asked, and knows the comments of `ids`. */
  function comment(ids: string, preview = "<!-- gpubox preview -->\n") {
    const folder = mkdtempSync(join(home, "comment-"));
    const gh = `#!/bin/sh\ncase "$*" in *--paginate*) printf '%s' "${ids}" ;; *) echo "$*" >> asked ;; esac\n`;
    writeFileSync(join(folder, "gh"), gh);
    chmodSync(join(folder, "gh"), 0o755);
    writeFileSync(join(folder, "preview.md"), preview);
    writeFileSync(join(folder, "engine.md"), "Pulumi's own preview of box counts: 1 create.\n");
    const path = `${folder}:/usr/bin:/bin`;
    const { status, stderr } = perform(
      named("Comment").run!,
      { PATH: path, COMMENTS: "repos/o/r/issues/1/comments", COMMENT: "repos/o/r/issues/comments" },
      folder,
    );
    expect([status, stderr]).toEqual([0, ""]);
    const [asked, body] = ["asked", "comment.md"].map((name) => readFileSync(join(folder, name), "utf8"));
    return { asked: asked!.trim(), body };
  }
  const counts = "\nPulumi's own preview of box counts: 1 create.\n";

  test("is made once", () => {
    expect(comment("")).toEqual({
      asked: "api --method POST repos/o/r/issues/1/comments --field body=@comment.md --silent",
      body: `<!-- gpubox preview -->\n${counts}`,
    });
  });

  test("and then updated in place", () => {
    expect(comment("77").asked).toBe(
      "api --method PATCH repos/o/r/issues/comments/77 --field body=@comment.md --silent",
    );
  });

  test("of many stacks is cut between two lines where GitHub would refuse it, and says where the rest is", () => {
    const folded = `<details><summary>Containers (1)</summary>\n\n${"- `gateway` → ersetzt\n".repeat(500)}\n</details>\n`;
    const { body = "" } = comment("", `<!-- gpubox preview -->\n${folded.repeat(9)}`);
    expect(body.length).toBeLessThan(65_536);
    expect(body.length).toBeGreaterThan(50_000);
    const rest = "_The rest is too long for a comment: it stands in the summary of the job `plan`._\n";
    expect(body.endsWith(`- \`gateway\` → ersetzt\n\n</details>\n\n${rest}${counts}`)).toBe(true);
  });
});

test("only the job that runs no code of the pull request may write; the others have no token and, for a fork, no secret", () => {
  expect(workflow.permissions).toEqual({});
  const permissions = Object.entries(workflow.jobs).map(([name, job]) => [name, job.permissions]);
  expect(permissions).toEqual([
    ["plan", { contents: "read" }],
    ["engine", { contents: "read" }],
    ["comment", { "pull-requests": "write" }],
  ]);
  const { plan, engine, comment } = workflow.jobs;
  expect(JSON.stringify(plan)).not.toMatch(/secrets\.|github\.token/);
  for (const job of [engine, comment])
    expect(job!.if).toContain("github.event.pull_request.head.repo.full_name == github.repository");
  expect(comment!.steps.some(({ uses, run }) => uses?.includes("checkout") || run?.includes("npm"))).toBe(
    false,
  );
});

describe("the engine that gets the secrets", () => {
  /** Installs what a download would bring, for a checksum that somebody put into the repository's variables. */
  function install(checksum: (archive: string) => string) {
    const folder = mkdtempSync(join(home, "engine-"));
    mkdirSync(join(folder, "pulumi"));
    writeFileSync(join(folder, "pulumi/pulumi"), "#!/bin/sh\necho v0\n", { mode: 0o755 });
    const archive = join(folder, "archive.tar.gz");
    expect(spawnSync("tar", ["-czf", archive, "-C", folder, "pulumi"]).status).toBe(0);
    const curl = `#!/bin/sh\necho "$4" > '${folder}/asked'\ncp '${archive}' "$3"\n`;
    writeFileSync(join(folder, "curl"), curl, { mode: 0o755 });
    const { env, run } = named("Install Pulumi");
    const { status } = perform(
      run!,
      {
        ...env,
        PATH: `${folder}:/usr/bin:/bin`,
        HOME: folder,
        GITHUB_PATH: join(folder, "path"),
        SHA256: checksum(archive),
      },
      folder,
    );
    const asked = readFileSync(join(folder, "asked"), "utf8").trim();
    return { installed: existsSync(join(folder, ".pulumi/bin/pulumi")), failed: status !== 0, asked };
  }

  test("is the one whose checksum the repository has, or none", () => {
    const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
    const version = named("Install Pulumi").env!.VERSION;
    expect(version).toBe(pinnedPulumi);
    expect(install(sha256)).toEqual({
      installed: true,
      failed: false,
      asked: `https://github.com/pulumi/pulumi/releases/download/v${version}/pulumi-v${version}-linux-x64.tar.gz`,
    });
    expect(install(() => "0".repeat(64))).toMatchObject({ installed: false, failed: true });
    expect(install(() => "")).toMatchObject({ installed: false, failed: true });
    expect(steps.filter(({ run }) => run && /\|\s*(ba)?sh\b/.test(run))).toEqual([]);
  });
});

test("every action is pinned by its commit, and no script contains an expression", () => {
  const uses = steps.flatMap((one) => one.uses ?? []);
  expect(uses.filter((action) => !/^actions\/[a-z-]+@[0-9a-f]{40}$/.test(action))).toEqual([]);
  expect(steps.filter(({ run }) => run?.includes("${{"))).toEqual([]);
});
