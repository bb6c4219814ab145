import { output, run } from "../../platform/process";
import { type Allocation, allocate } from "./allocate";
import { complete, exportsIn, masterKeyOf } from "./box";
import {
  makeProject,
  type Parts,
  programOf,
  removeBox,
  removeProject,
  type TestProject,
  writeStack,
} from "./project";

const small = { cache: { mode: "none" }, database: { mode: "none" } };

/** Two stacks on one machine that stand for two hosts, with a link between them, and a model `giant` over both. */
export class TwoStacks {
  readonly first: TestProject;
  readonly second: TestProject;
  /** Containers of the two ranks. */
  readonly ranks: [first: string, second: string];
  /** Addresses of the two. */
  readonly addresses: [first: string, second: string];
  private key = "";

  private constructor(
    one: Allocation,
    two: Allocation,
    readonly link: string,
    entry: Record<string, unknown>,
    parts: Parts,
  ) {
    this.addresses = [`10.231.${one.net}.11`, `10.231.${one.net}.12`];
    this.ranks = [`gpubox-${one.stack}-backend-giant`, `gpubox-${two.stack}-worker-giant`];
    const [address, other] = this.addresses;
    const nodes = { network: link, address, workers: [{ stack: two.stack, address: other }] };
    const models = { giant: { ...entry, nodes } };
    this.first = makeProject(
      one.stack,
      one.port,
      { host: { dataDir: one.dataDir }, ...small, models },
      parts,
    );
    this.second = {
      ...{ ...this.first, stack: two.stack },
      ...{ dataDir: two.dataDir, endpoint: `http://127.0.0.1:${two.port}` },
    };
    removeBox(this.second);
    writeStack(this.second, {
      host: { dataDir: two.dataDir },
      gateway: { port: two.port, drainTimeout: 10 },
      ...small,
      joins: { giant: { stack: one.stack } },
    });
  }

  static async make(entry: Record<string, unknown>, parts: Parts = {}): Promise<TwoStacks> {
    const [one, two] = [allocate("first"), allocate("second")];
    const link = `gpubox-${one.stack}-link`;
    const stacks = new TwoStacks(one, two, link, entry, parts);
    // After what an earlier run left of that name is gone.
    await output("docker", ["network", "create", "--internal", "--subnet", `10.231.${one.net}.0/24`, link]);
    return stacks;
  }

  /** `up` of one of them; what it said. */
  async upOf(project: TestProject): Promise<string> {
    const { dir, stack, env } = project;
    const words = programOf(project, ["up", "--yes", "--stack", stack]);
    const { code, stdout, stderr } = await run(process.execPath, words, {
      ...{ cwd: dir, env },
      // A busy machine loads the real vLLM twice at once, for both hosts.
      timeoutMs: 30 * 60_000,
    });
    expect(code === 0 ? "" : stdout + stderr).toBe("");
    return stdout;
  }

  /** `up` of the host that answers, and with it of the other one. */
  async up(): Promise<string> {
    const stdout = await this.upOf(this.first);
    this.key = await masterKeyOf(this.first, exportsIn(stdout));
    return stdout;
  }

  /** The model's answer, or the status and body where there is none. */
  ask(): Promise<string> {
    return complete(this.first.endpoint, this.key, "giant");
  }

  /** How far each rank is. */
  states(): Promise<string[]> {
    const asked = this.ranks.map(async (rank) => {
      const { stdout } = await run("docker", ["exec", rank, "cat", "/tmp/gpubox-rank"]);
      return stdout;
    });
    return Promise.all(asked);
  }

  async serve(): Promise<boolean> {
    return (await this.states()).every((state) => state === "serving");
  }

  async remove(): Promise<void> {
    removeBox(this.second);
    removeProject(this.first);
    await run("docker", ["network", "rm", this.link]);
  }
}
