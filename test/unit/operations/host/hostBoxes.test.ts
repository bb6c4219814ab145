import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BOXES_UNIT, boxesRemoval } from "../../../../operations/host/boxes";
import type { HostState } from "../../../../operations/host/state";
import { packageDir } from "../../../../platform/project";
import { ids, ready } from "../../../support/hostStates";

const SCRIPT = join(packageDir, "assets/host/boxes.sh");

describe("the unit that ends boxes in order", () => {
  test.each<[string, Partial<HostState>]>([
    ["another version of its script", { boxesScript: "#!/bin/sh\n" }],
    ["another version of itself", { boxesUnit: "[Unit]\n" }],
    ["it stopped or disabled", { boxesRun: false }],
  ])("is made anew on a host with %s", (_, state) => {
    expect(ids(state)).toEqual(["boxes"]);
  });

  test("needs systemd", () => {
    expect(ids({ systemd: false, boxesScript: undefined, boxesUnit: undefined, boxesRun: false })).toEqual(
      [],
    );
  });

  test("stops before Docker and what brings an address, and does not stop with a restart of Docker", () => {
    expect(BOXES_UNIT).toMatch(/^After=docker\.service network-online\.target tailscaled\.service /m);
    expect(BOXES_UNIT).not.toMatch(/^(Requires|BindsTo|PartOf)=/m);
  });

  test("goes with the last stack of the host, once", () => {
    expect(boxesRemoval(ready, "test")).toMatchObject({ id: "boxes" });
    expect(boxesRemoval({ ...ready, preparedStacks: ["other", "test"] }, "test")).toBeUndefined();
    expect(boxesRemoval({ ...ready, boxesScript: undefined, boxesUnit: undefined }, "test")).toBeUndefined();
  });

  test("has more time than all of its phases take together", () => {
    const script = readFileSync(SCRIPT, "utf8");
    const phases = [...script.matchAll(/^(?:DRAIN|GATEWAYS|VALVES|SERVERS|DATA)=(\d+)$/gm)].map(([, one]) =>
      Number(one),
    );
    const timeout = Number(/^TimeoutStopSec=(\d+)$/m.exec(BOXES_UNIT)?.[1]);
    expect(phases).toHaveLength(5);
    expect(phases.reduce((sum, one) => sum + one)).toBeLessThan(timeout);
  });
});

describe("its script", () => {
  let dir = "";
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "gpubox-boxes-"));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  /**
   * Runs it with a stand-in for Docker.
   * @param rows id, policy, grace and role of each container, as the script asks for them
   * @param more of the stand-in, in sh: what other commands do
   * @returns what it changed, one command a line
   */
  const run = (word: string, rows: string[], more = "") => {
    writeFileSync(
      join(dir, "docker"),
      `#!/bin/sh
case "$1 $2 $3" in
  "ps "*) echo ids ;;
  "inspect --format {{.Id}}"*) printf '%s\n' '${rows.join("' '")}' ;;
  "inspect "*) ;;
  *) echo "$*" >> ${dir}/log ;;
esac
${more}`,
      { mode: 0o755 },
    );
    const script = readFileSync(SCRIPT, "utf8").replace("PATH=", `PATH=${dir}:`);
    const done = spawnSync("sh", ["-c", script, "boxes", word], { encoding: "utf8" });
    return { code: done.status, did: readFileSync(join(dir, "log"), "utf8").split("\n").filter(Boolean) };
  };

  test("stops from the outside in, with each container's own grace as far as the shutdown has it", () => {
    const rows = [
      "d1 unless-stopped 120 database",
      "e1 unless-stopped 5 edge",
      "j1 unless-stopped 60 job-nightly-edge",
      "v1 unless-stopped 60 valve-tiny",
      "m1 unless-stopped 600 backend-tiny",
      "g1 unless-stopped 930 gateway",
      "j2 unless-stopped 20 job-nightly",
      "x1 no 10 migrate",
    ];
    const { code, did } = run("stop", rows, `case "$1" in update) shift 3; printf '%s\\n' "$@" ;; esac`);
    expect(code).toBe(0);
    const phases = [
      did.slice(0, 1),
      did.slice(1, 3),
      did.slice(3, 5),
      did.slice(5, 6),
      did.slice(6, 7),
      did.slice(7),
    ];
    expect(phases.map((one) => one.sort())).toEqual([
      ["update --restart always d1 e1 j1 v1 m1 g1 j2"],
      ["stop -t 60 e1", "stop -t 60 j1"],
      ["stop -t 20 j2", "stop -t 30 g1"],
      ["stop -t 10 v1"],
      ["stop -t 60 m1"],
      ["stop -t 120 d1"],
    ]);
  });

  test("leaves a container as it is whose policy Docker does not change, because it would not come back", () => {
    const rows = ["e1 unless-stopped 5 edge", "m1 unless-stopped 10 backend-tiny"];
    expect(run("stop", rows, `case "$1" in update) echo e1; exit 1 ;; esac`).did).toEqual([
      "update --restart always e1 m1",
      "stop -t 60 e1",
    ]);
  });

  /** Its pauses take no time, and the last one ends it, which goes on for ever. */
  const sleep = (isLast: string) =>
    writeFileSync(
      join(dir, "sleep"),
      `#!/bin/sh\necho "sleep $1" >>${dir}/log\n${isLast} && kill $PPID; exit 0\n`,
      { mode: 0o755 },
    );

  test("starts what it stopped, and gives it back the policy that it had", () => {
    const rows = ["e1 always 5 edge", "m1 unless-stopped 10 backend-tiny", "d1 always 120 database"];
    sleep("true");
    expect(run("start", rows).did).toEqual([
      "start e1 d1",
      "update --restart unless-stopped e1 d1",
      "sleep 15",
    ]);
  });

  test("tries again what Docker could not start, until it runs, and looks on for what fails later", () => {
    const more = `case "$*" in
  "inspect --format {{if and .State.Error"*) [ -e ${dir}/runs ] || echo e1 ;;
  "start e1") [ -e ${dir}/tried ] && : > ${dir}/runs || { : > ${dir}/tried; echo "cannot assign" >&2; exit 1; } ;;
esac`;
    sleep(`[ -e ${dir}/runs ] && [ "$1" = 15 ]`);
    expect(run("start", ["e1 unless-stopped 5 edge"], more).did).toEqual([
      ...["start e1", "sleep 2"],
      ...["start e1", "sleep 2"],
      "sleep 15",
    ]);
  });
});
