import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { packageDir } from "../../platform/project";
import { scratch } from "../support/allocate";
import { CONTROLLERS } from "../support/apiServer";
import { needs } from "../support/needs";
import { held, parentOf, processesWith } from "../support/running";
import { until } from "../support/wait";

const namesOf = (processes: Record<string, string>) => Object.values(processes).sort();
const isThere = (pid: string) => existsSync(join("/proc", pid));

needs(...CONTROLLERS)("an API server with its controllers", () => {
  const PROGRAMS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
  let holder: ChildProcess;
  let dir: string;

  beforeEach(async () => {
    const made = await held(`
const { allocate } = require(support + "/allocate.ts");
const { ApiServer } = require(support + "/apiServer.ts");
ApiServer.start(allocate("held"), { more: "controllers" }).then(({ kubeconfig }) => console.log(kubeconfig))`);
    holder = made.holder;
    dir = dirname(made.said);
    await until("all its programs run", () => PROGRAMS.every((name) => running().includes(name)));
  }, 120_000);
  afterEach(() => {
    holder.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  });

  const running = () => namesOf(processesWith(dir));
  const nothingRuns = () => until("nothing of it runs", () => running().length === 0, { seconds: 30 });

  test("ends, and removes its folder, when the process that started it is killed", async () => {
    holder.kill("SIGKILL");
    await nothingRuns();
    await until("its folder is gone", () => !existsSync(dir));
  });

  test("ends when the script that runs it is killed", async () => {
    const scripts = Object.entries(processesWith(dir)).filter(([, name]) => name === "bash");
    const [script] = scripts.find(([pid]) => parentOf(pid) === holder.pid)!;
    process.kill(Number(script), "SIGKILL");
    await nothingRuns();
  });
});

test.each(["environment.cjs", "deadline.cjs"])(
  "a Jest that is killed leaves no worker with what its file holds, in %s",
  async (environment) => {
    const dir = scratch("killed-jest");
    mkdirSync(join(dir, "held"));
    // Each holds a program that ends with its input, as clusters and servers do.
    const waits = `
const { spawn } = require("node:child_process");
const { writeFileSync } = require("node:fs");
test("waits", () => new Promise(() => {
  const child = spawn("cat", [], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  writeFileSync(${JSON.stringify(join(dir, "held"))} + "/" + process.pid, String(child.pid));
}), 600000);`;
    for (const name of ["one", "two"]) writeFileSync(join(dir, `${name}.test.js`), waits);
    const config = {
      rootDir: dir,
      transform: {},
      testEnvironment: join(packageDir, "test/support", environment),
    };
    const jest = spawn(
      process.execPath,
      [
        join(packageDir, "node_modules/jest/bin/jest.js"),
        ...["--config", JSON.stringify(config), "--maxWorkers", "2", "--no-cache"],
      ],
      { cwd: packageDir, stdio: "ignore" },
    );
    const workers = () => readdirSync(join(dir, "held"));
    const all = () =>
      workers().flatMap((worker) => [worker, readFileSync(join(dir, "held", worker), "utf8")]);
    try {
      await until("both files wait", () => workers().length === 2 && all().every((pid) => pid !== ""));
      expect(all().every(isThere)).toBe(true);
      jest.kill("SIGKILL");
      await until("no worker is left, and nothing that it held", () => !all().some(isThere), { seconds: 30 });
    } finally {
      for (const pid of all().filter(isThere)) process.kill(Number(pid), "SIGKILL");
      jest.kill("SIGKILL");
    }
  },
  120_000,
);
