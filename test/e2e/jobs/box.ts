import { join } from "node:path";
import { readJobKey } from "../../../operations/jobs";
import { checkLogs } from "../../../operations/trajectory/check";
import type { LogReport } from "../../../operations/trajectory/reconcile";
import { runBeside } from "../../support/beside";
import { exportsIn, masterKeyOf } from "../../support/box";
import { type JobClient, startTimes } from "../../support/jobs";
import { gpubox, makeProject, removeProject, type TestProject } from "../../support/project";
import { until } from "../../support/wait";

export const ASK = "nonce=one chunks=2 interval=0 fault=none";
export const PONG = "pong from the gpubox test model";

/** Folder of a job's log. */
export const logsOf = (folder: string) => join(folder, "log");

/** A box that logs its own gateway, with a stub beside it that jobs ask. */
export class JobsBox {
  project!: TestProject;
  /** The master key. */
  key!: string;
  /** The stub's address on the box's network. */
  readonly server: string;

  constructor(
    readonly stack: string,
    readonly port: number,
  ) {
    this.server = `http://gpubox-${stack}-stub:8000/v1`;
  }

  async open(): Promise<void> {
    this.project = makeProject(this.stack, this.port, sections(this.port, this.server));
    const up = await gpubox(this.project, "up", "--yes");
    expect(up.stderr).toBe("");
    this.key = await masterKeyOf(this.project, exportsIn(up.stdout));
    await runBeside(this.project, { role: "stub", script: "load/stub.py" });
  }

  close(): void {
    removeProject(this.project);
  }

  job(...args: string[]) {
    return gpubox(this.project, "job", ...args);
  }

  /** Folder of a job that the harness started. */
  runOf(name: string): string {
    return join(this.project.dir, "runs", name);
  }

  client(folder: string, port: number, model: string): JobClient {
    return { endpoint: `http://127.0.0.1:${port}`, key: readJobKey(folder), model };
  }

  remote(): JobClient {
    return this.client(this.runOf("remote"), this.port + 10, "echo");
  }

  local(): JobClient {
    return this.client(this.runOf("local"), this.port + 11, "policy");
  }

  /** What `check` says once nothing is in the work. */
  async checked(folder: string): Promise<LogReport> {
    await until(
      `the log in ${folder} is whole`,
      async () => {
        const { open, missing } = await checkLogs([folder]);
        return open === 0 && !missing.some(({ why }) => why.includes("about to write"));
      },
      { seconds: 600, everyMs: 300 },
    );
    const { stdout } = await gpubox(this.project, "trajectory", "check", folder, "--json");
    return JSON.parse(stdout) as LogReport;
  }

  /** Of all containers that ran before, only those of this job are gone, and no other was touched. */
  async onlyEnded(job: string, before: Record<string, string>): Promise<void> {
    const {
      [`/gpubox-${this.stack}-job-${job}`]: gone,
      [`/gpubox-${this.stack}-job-${job}-edge`]: edge,
      ...others
    } = before;
    expect([gone, edge]).toEqual([expect.any(String), expect.any(String)]);
    expect(await startTimes(this.stack)).toEqual(others);
  }

  /** Says why, and starts nothing. */
  async isRefused(name: string, what: RegExp, ...args: string[]): Promise<void> {
    const before = await startTimes(this.stack);
    const { code, stderr } = await this.job("start", name, ...args);
    expect([code, stderr]).toEqual([1, expect.stringMatching(what)]);
    expect(await startTimes(this.stack)).toEqual(before);
  }
}

function sections(port: number, server: string): Record<string, unknown> {
  const remote = (port: number, more: Record<string, unknown> = {}) => ({
    upstream: { baseUrl: server, model: "echo", apiKey: "dummy-cf" },
    key: "dummy-key-cf",
    port,
    ...more,
  });
  return {
    gateway: { port, drainTimeout: 30, trajectories: true },
    cache: { mode: "none" },
    database: { mode: "none" },
    models: {
      tiny: { engine: "llamacpp", model: "canned", memoryMiB: 2048, threads: 1 },
      sleeper: { engine: "llamacpp", model: "canned", memoryMiB: 2048, threads: 1, start: "manual" },
      pair: {
        ...{ engine: "openai", model: "echo", start: "manual" },
        instances: [
          { name: "a", baseUrl: server },
          { name: "b", baseUrl: server },
        ],
      },
    },
    jobs: {
      sticky: {
        ...{ upstream: { box: "pair" }, port: port + 19, stickyRoutingAliases: ["pair@a", "pair@b"] },
        ...{ configTemplate: "eval.yaml", lifetimeSeconds: 1 },
      },
      remote: remote(port + 10),
      local: { upstream: { box: "tiny" }, port: port + 11, model: "policy" },
      sleeping: { upstream: { box: "sleeper" }, port: port + 12 },
      silent: remote(port + 13, { upstream: { baseUrl: "http://nobody:8000/v1", model: "echo" } }),
      unnamed: remote(port + 14, { upstream: { baseUrl: server, model: "GLM-5" } }),
      vectors: remote(port + 15, { upstream: { baseUrl: server, model: "echo", messages: "native" } }),
    },
  };
}
