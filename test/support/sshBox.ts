import { join } from "node:path";
import type { ImageRole } from "../../configs/kit/imageRoles";
import type { DriftReport } from "../../operations/drift/difference";
import { buildRecipes } from "../../operations/images/buildRecipes";
import { dockerAt } from "../../platform/docker/client";
import { run } from "../../platform/process";
import { recipeReference } from "../../platform/stack/recipes";
import { editStack } from "./box";
import type { ChangeOnHost, Where } from "./changesOnHost";
import type { FarHost } from "./farHost";
import { gpubox, makeProject, type Parts, removeProject, type TestProject } from "./project";
import { SecondHost } from "./secondHost";

const LOCAL = "unix:///var/run/docker.sock";

const namespaced = (config: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(config).map(([name, value]) => [`gpubox:${name}`, value]));

/** A second host, and a checkout on this machine whose stack leads to it. */
export class SshBox<Host extends FarHost = SecondHost> {
  readonly host: Host;
  readonly data: string;
  /** The checkout that the box belongs to at first. */
  laptop!: TestProject;
  /** The master key that {@link ask} sends. */
  key = "";
  readonly copies: TestProject[] = [];

  constructor(
    readonly stack: string,
    readonly port: number,
    net: number,
    // A host of another kind is the caller's own choice.
    host = new SecondHost(stack, net) as FarHost as Host,
  ) {
    this.host = host;
    this.data = `/srv/gpubox-${stack}`;
  }

  async start(): Promise<void> {
    await this.host.start();
    this.laptop = this.checkout();
  }

  async remove(): Promise<void> {
    for (const copy of this.copies) {
      const config = join(copy.dir, `.gpubox/ssh/${this.stack}/config`);
      await run("ssh", ["-F", config, "-O", "exit", this.host.address], { cwd: copy.dir });
      removeProject(copy);
    }
    await this.host.remove();
  }

  sections(more: Record<string, unknown> = {}, place: Record<string, unknown> = {}) {
    return {
      host: { dataDir: this.data, ...this.host.host(), ...place },
      gateway: { port: this.port, drainTimeout: 30, trajectories: true },
      cache: { mode: "none" },
      database: { mode: "none" },
      models: { tiny: { engine: "llamacpp", model: "canned", memoryMiB: 2048, threads: 1, ...more } },
    };
  }

  checkout(
    config: Record<string, unknown> = this.sections(),
    parts: Parts = { gateway: "stub" },
  ): TestProject {
    const copy = makeProject(this.stack, this.port, config, parts);
    this.copies.push(copy);
    return copy;
  }

  /** Changes parts of a stack file; what `up` put there stays. */
  edit(project: TestProject, config: Record<string, unknown>): void {
    editStack(project, (present) => Object.assign(present, namespaced(config)));
  }

  /** All that a refused command must not change: containers, their start, the files of the box. */
  look(): string {
    return this.host.console(
      `docker ps -aq --no-trunc 2>/dev/null; cat /etc/group /etc/docker/daemon.json 2>/dev/null; find /srv -type f -exec md5sum {} + 2>/dev/null | grep -v edge-state | sort; ls /srv`,
    );
  }

  async refused(project: TestProject, verb: string[], what: string, fix: string): Promise<void> {
    const before = this.look();
    const said = await gpubox(project, verb[0]!, ...verb.slice(1));
    expect(said.stderr).toContain(what);
    expect(said.stderr).toContain(fix);
    expect(said.stderr).not.toContain("    at ");
    expect(said.code).toBe(1);
    expect(this.look()).toBe(before);
  }

  /** What the model answers on the host itself, and the status. */
  ask(model: string): string {
    const body = JSON.stringify({ model, messages: [{ role: "user", content: "ping" }] });
    return this.host.request(
      `http://127.0.0.1:${this.port}/v1/chat/completions`,
      { authorization: `Bearer ${this.key}` },
      body,
    );
  }

  /** Plain Pulumi in a checkout's folder, as after the exports that `up` prints. */
  pulumi(command: string[], { dir, env } = this.laptop) {
    return run("pulumi", [...command, "--stack", this.stack], {
      cwd: dir,
      env: { ...env, PULUMI_CONFIG_PASSPHRASE_FILE: join(dir, ".gpubox/passphrase") },
    });
  }

  async readKey(project = this.laptop): Promise<void> {
    this.key = (await this.pulumi(["config", "get", "gpubox:masterKey"], project)).stdout.trim();
  }

  /**
   * Brings the images from this machine's engine: the host reaches no registry.
   * @param base the recipes' own, which what else the host builds starts from; none where it is to have another
   */
  async copyImages(
    roles: ImageRole[] = ["gateway", "edge", "llamacpp"],
    base: "base"[] = ["base"],
  ): Promise<void> {
    const images = [...roles, ...base].map((role) => recipeReference(this.laptop.dir, role));
    for (const image of images)
      if (!(await dockerAt(LOCAL).hasImages(image)))
        await buildRecipes(roles, { projectDir: this.laptop.dir, docker: LOCAL, log: () => {} });
    await this.host.copyImages(images);
  }

  async mustUp(project: TestProject, ...more: string[]) {
    const up = await gpubox(project, "up", ...more);
    expect(up.code === 0 ? "" : up.stdout + up.stderr).toBe("");
    return up;
  }

  /** Prepares the host, or with `--remove` takes that back; the steps that were done. */
  async prepare(...words: string[]): Promise<string[]> {
    const verb = ["prepare", "--yes", "--json", ...words];
    const { code, stdout, stderr } = await gpubox(this.laptop, "host", ...verb);
    expect([code, code === 0 ? "" : stderr]).toEqual([0, ""]);
    return JSON.parse(stdout).steps.map(({ id }: { id: string }) => id);
  }

  async drift(): Promise<{ code: number; differences: DriftReport["differences"] }> {
    const { code, stdout, stderr } = await gpubox(this.laptop, "drift", "--json");
    const { differences } = JSON.parse(stdout || `{"differences":"${stderr}"}`) as DriftReport;
    return { code, differences };
  }

  /** Makes changes by hand on the host: `drift` shows each of them and nothing else, and the next `up` repairs them. */
  async proveDrift(changes: (where: Where) => ChangeOnHost[]): Promise<number> {
    const { host, stack, data } = this;
    const prefix = `gpubox-${stack}`;
    const gateway = host.console(`docker ps --filter name=${prefix}-gateway --format '{{.Names}}'`);
    const generation = host.console(
      `docker inspect --format '{{index .Config.Labels "gpubox.generation"}}' ${gateway}`,
    );
    const list = changes({ prefix, stack, data, gateway, generation });
    for (const { does } of list) host.console(does);
    const seen = await this.drift();
    expect(seen.code).toBe(2);
    const told = (subject: string) =>
      seen.differences
        .filter((one) => one.subject === subject)
        .map(({ what }) => what)
        .join("\n");
    for (const { subject, says } of list)
      expect([subject, told(subject)]).toEqual([subject, expect.stringMatching(says)]);
    expect(new Set(seen.differences.map(({ subject }) => subject))).toEqual(
      new Set(list.map(({ subject }) => subject)),
    );
    await this.mustUp(this.laptop);
    expect(await this.drift()).toEqual({ code: 0, differences: [] });
    expect(this.ask("tiny")).toMatch(/ 200$/);
    return list.length;
  }
}
