import { output, run } from "../../platform/process";
import { LoadBox, mustSucceed } from "../load/box";
import type { Load } from "../load/client";
import { oneGeneration } from "../load/scene";
import { allocate } from "../support/allocate";
import { changed, containersOf } from "../support/box";
import { missing, orSkip } from "../support/needs";
import { gpubox, placeProject, type TestProject } from "../support/project";
import { hasPreviousRelease, placePreviousRelease, removePreviousRelease } from "../support/release";

const MINUTE = 60_000;
const ANSWER = "pong from the gpubox test model";

const lacks = [
  ...missing("docker", "pulumi"),
  ...(hasPreviousRelease ? [] : ["the history with the previous release"]),
];
const { stack: STACK, port: PORT } = allocate("upgrade");

const previousRelease = {
  place: placePreviousRelease,
  up: ({ stack, dir, env }: TestProject) =>
    run("npm", ["run", "--silent", "up", "--", "--stack", stack, "--yes"], {
      cwd: dir,
      env,
      timeoutMs: 15 * MINUTE,
    }),
};

orSkip(describe, lacks.join(", "))("an upgrade from the previous release under load", () => {
  let box: LoadBox;
  let loads: Load[] = [];

  beforeAll(async () => {
    const tiny = { engine: "llamacpp", model: "canned", memoryMiB: 2048 };
    box = await LoadBox.open(STACK, PORT, { tiny }, previousRelease);
  }, 20 * MINUTE);
  afterEach(() => Promise.all(loads.map((load) => load.stop())));
  afterAll(() => box?.close());

  test(
    "`up` loses no request, replaces what the preview announces and nothing else, and a second one changes nothing",
    async () => {
      const { project } = box;
      const { stack } = project;
      removePreviousRelease(project.dir);
      placeProject(project.dir, { program: "sources" });
      // The announcement is of the same moment as the change: before anything of this release touched the box.
      const preview = await gpubox(project, "preview", "--json");
      mustSucceed(preview);
      const { containers } = JSON.parse(preview.stdout) as {
        containers: { container: string; action: string }[];
      };
      const announced = containers
        .filter(({ action }) => ["created", "deleted", "replaced"].includes(action))
        .map(({ container }) => container);
      const kept = await volumesOf(stack);
      const before = await containersOf(stack);
      loads = [
        await box.load({ maxSeconds: 1800 }),
        await box.load({ model: "tiny", shorts: 2, streams: 0, expected: ANSWER, maxSeconds: 1800 }),
      ];
      const up = await box.change(() => {}, `${box.command("up")} --yes`, 10 * MINUTE);
      mustSucceed(up);
      const tallies = await Promise.all(loads.map((load) => load.stop()));
      console.info(JSON.stringify({ announced, served: up.served, tallies }));
      const after = await containersOf(stack);
      for (const { failed, cut, wrong, reasons } of tallies)
        expect({ failed, cut, wrong, reasons }).toEqual({ failed: 0, cut: 0, wrong: 0, reasons: [] });
      const [echo, tiny] = tallies;
      expect(Math.min(echo!.requests / 100, echo!.streams / 16, tiny!.requests / 20)).toBeGreaterThan(1);
      expect(changed(before, after)).toEqual(announced.sort());
      expect(await volumesOf(stack)).toEqual(kept);
      await oneGeneration(box);
      mustSucceed(await box.shell(`${box.command("up")} --yes`));
      expect(changed(after, await containersOf(stack))).toEqual([]);
    },
    30 * MINUTE,
  );
});

/** Volumes of a stack with the time at which each was made. */
async function volumesOf(stack: string): Promise<string[]> {
  const names = await output("docker", ["volume", "ls", "-q", "--filter", `name=^gpubox-${stack}-`]);
  const volumes = names.split("\n").filter(Boolean).sort();
  return Promise.all(
    volumes.map((name) =>
      output("docker", ["volume", "inspect", "--format", "{{.Name}} {{.CreatedAt}}", name]),
    ),
  );
}
