import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { watchingHost } from "../../../../operations/up/watchHost";
import type { Progress } from "../../../../platform/progress";
import { testPlan, testSecrets } from "../../../support/stacks";

const path = process.env.PATH;
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-watch-"));
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(dir, { recursive: true });
});

/** A `docker` that answers what these lines of a shell's `case` say of its arguments. */
function docker(...cases: string[]): void {
  const program = join(dir, "docker");
  writeFileSync(program, `#!/bin/sh\ncase "$*" in\n${cases.join("\n")}\nesac\n`);
  chmodSync(program, 0o755);
  process.env.PATH = `${dir}:${path}`;
}

/** What is reported while the work waits for this number of reports. */
async function reports(count: number): Promise<Progress[]> {
  const all: Progress[] = [];
  let enough = () => {};
  const work = new Promise<void>((resolve) => {
    enough = resolve;
  });
  const report = (progress: Progress) => {
    if (all.push(progress) === count) enough();
  };
  await watchingHost({ plan: testPlan(), secrets: testSecrets, report }, () => work);
  return all;
}

test("reports a download, the model that loads with its last log line, and what an old gateway still answers", async () => {
  docker(
    "*'ps --filter label=gpubox.weights '*) printf 'd1\\towner/name\\n' ;;",
    "*'logs --tail all d1') echo 'owner/name@0123456789ab: 1 files, 2.0 GB, 0 B of it here already' ;;",
    "*'ps --all '*) printf 'box-tiny\\tbackend-tiny\\tUp 20 seconds (health: starting)\\n' ;;",
    `*'logs --tail 10 box-tiny') printf 'one\\nkey %s\\n\\n' '${testSecrets.masterKey}' >&2 ;;`,
    "*' ps '*role=gateway*) printf 'g1\\ng2\\n' ;;",
    "*switch.sh*) printf '1 old draining 3\\n2 new serving 5\\n' ;;",
  );
  const seen = await reports(3);
  expect(seen.slice(0, 3)).toEqual([
    { what: "downloading owner/name", done: 0, total: 2e9, unit: "bytes" },
    { what: "waiting for the model tiny", detail: "key [secret]" },
    { what: "draining the previous gateway", done: 0, total: 3, unit: "requests" },
  ]);
  expect(seen.slice(3)).toEqual(seen.slice(0, 3).map(({ what }) => ({ what, ended: true })));
});

test("a step that is over ends", async () => {
  const once = join(dir, "once");
  docker(
    `*'ps --all '*) [ -e ${once} ] || printf 'box-tiny\\tbackend-tiny\\tRestarting (1) 1 second ago\\n'; touch ${once} ;;`,
  );
  const what = "waiting for the model tiny";
  expect(await reports(2)).toEqual([{ what }, { what, ended: true }]);
});

test("an engine that does not answer is nobody's failure", async () => {
  docker("*) exit 1 ;;");
  const report = jest.fn();
  const work = async () => "done";
  expect(await watchingHost({ plan: testPlan(), secrets: testSecrets, report }, work)).toBe("done");
  expect(report).not.toHaveBeenCalled();
});
