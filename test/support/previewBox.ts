import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { previewStack } from "../../operations/preview/preview";
import type { Preview } from "../../operations/preview/types";
import { changed, complete, containersOf, editStack, exportsIn, inShell, masterKeyOf } from "./box";
import { ContainerGaps } from "./containerGaps";
import { type Edit, FIRST_MODELS, type Sections } from "./previewEdits";
import { gpubox, makeProject, removeProject, type TestProject } from "./project";
import { pause } from "./wait";

/** How many times `about` a gap may take where other work has the processors at the same time. */
const SLOWER = 3;
const ANSWER = "pong from the gpubox test model";

/** A box whose previews are compared with what `up` then does. */
export class PreviewBox {
  private constructor(
    readonly project: TestProject,
    readonly port: number,
    private readonly exports: string[],
    /** The present master key. */
    public key: string,
    readonly watch: ContainerGaps,
  ) {}

  static async open(stack: string, port: number): Promise<PreviewBox> {
    const project = makeProject(
      stack,
      port,
      { gateway: { port, drainTimeout: 10 }, database: { mode: "none" }, models: FIRST_MODELS },
      { gateway: "stub" },
    );
    const up = await gpubox(project, "up", "--yes");
    expect([up.code, up.stderr]).toEqual([0, ""]);
    const exports = exportsIn(up.stdout);
    const key = await masterKeyOf(project, exports);
    const box = new PreviewBox(project, port, exports, key, new ContainerGaps(stack));
    // As a preview of this process reads the stack's secrets.
    for (const name of Object.keys(project.env)) delete process.env[name];
    return box;
  }

  close(): void {
    this.watch.close();
    removeProject(this.project);
  }

  /** A command of Pulumi in a normal shell. */
  pulumi(command: string, before = "") {
    const { project, exports } = this;
    return inShell(project, exports, `${before}pulumi ${command} --stack ${project.stack}`);
  }

  setSecret(name: string, value: string) {
    return this.pulumi(`config set --secret gpubox:${name}`, `printf ${value} | `);
  }

  edit(change: (config: Sections) => void): void {
    editStack(this.project, (config) => change(config as unknown as Sections));
  }

  async preview(): Promise<Preview> {
    const { code, stdout, stderr } = await gpubox(this.project, "preview", "--json");
    if (code !== 0) throw new Error(stderr);
    return JSON.parse(stdout);
  }

  /** What a preview says of one edit alone; the stack's file is afterwards as it was. */
  async previewOf({ edit }: Edit): Promise<Preview> {
    const file = this.stackFile();
    const before = readFileSync(file, "utf8");
    this.edit((config) => edit(config, this.port));
    try {
      return await previewStack(this.project.dir, this.project.stack);
    } finally {
      writeFileSync(file, before);
    }
  }

  stackFile(): string {
    return join(this.project.dir, `Pulumi.${this.project.stack}.yaml`);
  }

  /** What `up` did: the containers that are others now, how long each did not serve, and what a client met meanwhile. */
  async up() {
    const before = await containersOf(this.project.stack);
    this.watch.forget();
    const steady = this.asking();
    const result = await this.pulumi("up --yes --skip-preview");
    const failures = await steady.stop();
    expect([result.code, result.stderr]).toEqual([0, ""]);
    const after = await containersOf(this.project.stack);
    await pause(1000, "`docker events` comes after the command that waited for the same thing");
    return { containers: changed(before, after), failures, gaps: this.watch.gaps() };
  }

  /** Asks a model that no change concerns, until told to stop: what it answered beside its one sentence. */
  private asking(): { stop: () => Promise<string[]> } {
    let done = false;
    const failures: string[] = [];
    const run = (async () => {
      while (!done) {
        const answer = await complete(this.project.endpoint, this.key, "steady").catch((error: unknown) =>
          String(error),
        );
        if (answer !== ANSWER) failures.push(answer);
        await pause(200, "a client between two requests");
      }
    })();
    return {
      stop: async () => {
        done = true;
        await run;
        return failures;
      },
    };
  }
}

export const named = ({ containers }: Preview, ...actions: string[]) =>
  containers.filter(({ action }) => actions.includes(action)).map(({ container }) => container);

const replacedBy = (said: Preview) => named(said, "created", "deleted", "replaced").sort();

/** The keys that a preview shows as changed, and the models that come or go. */
const shownBy = ({ models, settings }: Preview) => [
  ...settings.map(({ path }) => path),
  ...models.flatMap(({ model, change, fields }) =>
    change === "changed" ? fields.map(({ path }) => path) : [model],
  ),
];

/** What the preview says of each edit alone and of all of them together is what one `up` of them does. */
export async function proveEdits(box: PreviewBox, edits: Edit[]): Promise<void> {
  for (const { secret } of edits) if (secret) await box.setSecret(...secret);
  const gaps = new Set<string>();
  for (const edit of edits) {
    const alone = await box.previewOf(edit);
    expect([edit.what, replacedBy(alone)]).toEqual([edit.what, edit.replaces]);
    for (const { container } of alone.gaps) gaps.add(container);
  }
  box.edit((config) => {
    for (const { edit } of edits) edit(config, box.port);
  });
  const said = await box.preview();
  for (const { path } of edits) expect(shownBy(said)).toContain(path);
  expect(said.gaps.map(({ container }) => container).sort()).toEqual([...gaps].sort());
  const did = await box.up();
  expect(replacedBy(said)).toEqual(did.containers);
  expect(did.containers).toEqual([...new Set(edits.flatMap(({ replaces }) => replaces))].sort());
  // Who did not serve for a while was announced, with a longer time; and nobody else.
  const silent = Object.keys(did.gaps).filter((name) => name !== "gateway");
  expect(silent.filter((name) => !named(said, "deleted").includes(name)).sort()).toEqual([...gaps].sort());
  for (const { container, aboutSeconds, mostSeconds } of said.gaps) {
    const seconds = did.gaps[container]!;
    console.log(`${container} did not serve for ${seconds.toFixed(1)} s, about ${aboutSeconds} s were said`);
    expect(seconds).toBeLessThanOrEqual(mostSeconds);
    expect(seconds).toBeLessThanOrEqual(SLOWER * aboutSeconds!);
  }
  if (said.gaps.some(({ models }) => models === "all"))
    box.project.endpoint = `http://127.0.0.1:${box.port + 2}`;
  else expect(did.failures).toEqual([]);
  const again = await box.preview();
  expect([again.containers, again.models, again.settings]).toEqual([[], [], []]);
}
