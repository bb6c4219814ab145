import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { RECORD } from "../../../components/Record";
import type { ModelLock } from "../../../configs/models/facts";
import { plansOf } from "../../../operations/gc/collect";
import { garbage } from "../../../operations/gc/garbage";
import { packageDir } from "../../../platform/project";
import { restorePrevious } from "../../../platform/stack/history";
import { readModelLock, writeModelLock } from "../../../platform/stack/modelLock";
import { locked } from "../../support/engines";

const COMMITS = ["a", "b", "c"].map((letter) => letter.repeat(40));
const SOURCE = "hf://Qwen/Qwen3-8B";
const lockOf = (commit: string) => ({ ...locked(), revision: commit });

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-history-"));
  for (const folder of ["images", "assets"])
    cpSync(join(packageDir, folder), join(dir, folder), { recursive: true });
  mkdirSync(join(dir, ".gpubox"));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** What `pulumi up` does once a generation serves. */
function serve(
  generation: string,
  minute: number,
  lock?: ModelLock,
  boxes?: Record<string, unknown>,
  files = "",
) {
  writeFileSync(
    join(dir, "Pulumi.box.yaml"),
    stringify({
      config: {
        "gpubox:models": { m: { engine: "vllm", model: SOURCE } },
        ...(boxes ? { "gpubox:boxes": boxes, "gpubox:gpu2Key": { secure: "v1:gpu2" } } : {}),
        generation,
      },
    }),
  );
  if (lock) writeModelLock(dir, lock);
  else rmSync(join(dir, "models.lock.json"), { force: true });
  const names = { GPUBOX_STACK: "box", GPUBOX_GENERATION: generation };
  const env = {
    ...process.env,
    ...names,
    GPUBOX_FILES: files,
    GPUBOX_BOXES: Object.keys(boxes ?? {}).join(" "),
  };
  const { status, stderr } = spawnSync("sh", ["-c", RECORD], {
    cwd: dir,
    env,
    input: "{}",
    encoding: "utf8",
  });
  expect([status, stderr]).toEqual([0, ""]);
  utimesSync(join(dir, ".gpubox/history/box", generation), minute * 60, minute * 60);
}

/** A model that only another stack has, and that was locked since. */
const others = { "hf://else/where": lockOf("e".repeat(40)) };

test("a rollback restores the locks of the stack's models, and leaves those of other stacks", () => {
  serve("first", 1, { [SOURCE]: lockOf(COMMITS[0]!), "hf://else/where": lockOf("d".repeat(40)) });
  serve("second", 2, { [SOURCE]: lockOf(COMMITS[1]!), ...others });
  expect(restorePrevious(dir, "box", "second")).toBe("first");
  expect(readFileSync(join(dir, "Pulumi.box.yaml"), "utf8")).toContain("generation: first");
  expect(readModelLock(dir)).toEqual({ [SOURCE]: lockOf(COMMITS[0]!), ...others });
});

test("a rollback to a generation without a lock leaves the present one", () => {
  serve("first", 1);
  serve("second", 2, { [SOURCE]: lockOf(COMMITS[1]!) });
  const before = readFileSync(join(dir, "models.lock.json"), "utf8");
  restorePrevious(dir, "box", "second");
  expect(readFileSync(join(dir, "models.lock.json"), "utf8")).toBe(before);
});

test("a generation that serves again without a lock is recorded without one", () => {
  serve("first", 1, others);
  const recorded = join(dir, ".gpubox/history/box/first/models.lock.json");
  expect(existsSync(recorded)).toBe(true);
  serve("first", 2);
  expect(existsSync(recorded)).toBe(false);
});

test("a rollback brings back the files beside the stack file that models named then", () => {
  mkdirSync(join(dir, "prompts"));
  const write = (text: string) => {
    for (const path of ["chat.jinja", "prompts/chat.jinja"]) writeFileSync(join(dir, path), text);
  };
  write("then");
  serve("first", 1, undefined, undefined, "./chat.jinja ./prompts/chat.jinja");
  write("now");
  serve("second", 2, undefined, undefined, "./chat.jinja");
  restorePrevious(dir, "box", "second");
  for (const path of ["chat.jinja", "prompts/chat.jinja"])
    expect(readFileSync(join(dir, path), "utf8")).toBe("then");
});

test("the files of other boxes are recorded unchanged, and a rollback leaves the present ones", () => {
  const other = (model: string) =>
    writeFileSync(
      join(dir, "Pulumi.gpu2.yaml"),
      stringify({
        config: {
          "gpubox:gateway": { bind: "10.0.0.2" },
          "gpubox:models": { [model]: { engine: "openai", baseUrl: "http://10.0.0.9/v1" } },
        },
      }),
    );
  const boxes = { gpu2: { key: { secret: "gpu2Key" } } };
  other("first");
  serve("one", 1, undefined, boxes);
  other("second");
  serve("two", 2, undefined, boxes);
  expect(plansOf(dir, "box").map(({ models }) => models)).toEqual([
    ["m", "second"],
    ["m", "second"],
    ["first", "m"],
  ]);
  restorePrevious(dir, "box", "two");
  expect(readFileSync(join(dir, "Pulumi.gpu2.yaml"), "utf8")).toContain("second");
  serve("two", 3);
  expect(existsSync(join(dir, ".gpubox/history/box/two/Pulumi.gpu2.yaml"))).toBe(false);
});

test("weights at the commits of the present lock, of what serves and of a rollback are no garbage, older ones are", () => {
  COMMITS.forEach((commit, index) => {
    serve(`g${index}`, index, { [SOURCE]: lockOf(commit) });
  });
  const present = "f".repeat(40);
  writeModelLock(dir, { [SOURCE]: lockOf(present) });
  const at = (commit: string) => `/srv/gpubox/models/hf/Qwen/Qwen3-8B/${commit}`;
  const weights = [...COMMITS, present].map((commit) => ({
    kind: "weights" as const,
    name: at(commit),
    bytes: 1,
  }));
  const host = { images: [], usedImages: [], mounted: [], generations: [], weights };
  const kept = { plans: plansOf(dir, "box"), generations: [], images: [] };
  expect(garbage(host, kept).map(({ name }) => name)).toEqual([at(COMMITS[0]!)]);
});
