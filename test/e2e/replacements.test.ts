import { readFileSync } from "node:fs";
import { join } from "node:path";
import { output } from "../../platform/process";
import { Load, type Tally } from "../load/client";
import { allocate } from "../support/allocate";
import { changed, containersOf, editStack, exportsIn, masterKeyOf } from "../support/box";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";

const MINUTE = 60_000;
const ANSWER = "pong from the gpubox test model";
const canned = { engine: "llamacpp", model: "canned", memoryMiB: 1024, threads: 1 };
const NOTHING = { failed: 0, cut: 0, wrong: 0, reasons: [] };

type Models = Record<string, Record<string, unknown>>;

const ENGINES = { pulumi: allocate("replace"), compose: allocate("swap") };

describe.each(Object.keys(ENGINES) as (keyof typeof ENGINES)[])("by %s", (engine) => {
  const { stack, port } = ENGINES[engine];

  needs("docker", ...(engine === "pulumi" ? ["pulumi"] : []))(
    "model servers are replaced under clients",
    () => {
      let project: TestProject;
      let key: string;

      const up = async () => {
        const { code, stdout, stderr } = await gpubox(
          project,
          "up",
          ...["--yes", ...(engine === "compose" ? ["--engine", "compose"] : [])],
        );
        return { code, said: code === 0 ? "" : stdout + stderr, stdout };
      };
      const edit = (change: (models: Models) => void) =>
        editStack(project, (config) => change((config as Record<string, Models>)["gpubox:models"]!));
      const standIn = () =>
        output("docker", ["ps", "-aq", "--filter", `name=^gpubox-${stack}-standin-first$`]);

      /** What clients of each model lost while something happened. */
      async function meanwhile(models: string[], what: () => Promise<unknown>) {
        const { endpoint } = project;
        const clients = { shorts: 3, pauseMs: 250, streams: 0, expected: ANSWER };
        const loads = await Promise.all(
          models.map((model) => new Load({ endpoint, key, model, ...clients }).start()),
        );
        let tallies: Tally[] = [];
        try {
          await what();
        } finally {
          tallies = await Promise.all(loads.map((load) => load.stop()));
        }
        for (const { failed, cut, wrong, reasons, requests } of tallies) {
          expect({ failed, cut, wrong, reasons }).toEqual(NOTHING);
          expect(requests).toBeGreaterThan(10);
        }
      }

      beforeAll(async () => {
        const models = {
          first: { ...canned, replacement: "start-first" },
          // As long as clients wait for a replacement on a busy machine.
          later: { ...canned, holdSeconds: 120 },
        };
        project = makeProject(stack, port, { models }, { gateway: "stub" });
        const { code, said, stdout } = await up();
        expect({ code, said }).toEqual({ code: 0, said: "" });
        key =
          engine === "pulumi"
            ? await masterKeyOf(project, exportsIn(stdout))
            : JSON.parse(readFileSync(join(project.dir, ".gpubox", `secrets.${stack}.json`), "utf8"))
                .masterKey;
      }, 20 * MINUTE);
      afterAll(() => removeProject(project), MINUTE);

      test(
        "a flag that the server does not know: `up` fails with its words, and the one before serves on",
        async () => {
          const before = await containersOf(stack);
          edit(({ first }) => {
            first!.extraArgs = ["--no-such-flag"];
          });
          await meanwhile(["first"], async () => {
            const { code, said } = await up();
            expect(code).toBe(1);
            expect(said).toContain("invalid argument: --no-such-flag");
            expect(said).toContain("The new server of first is not used; the one before serves on.");
          });
          expect((await containersOf(stack))["backend-first"]).toBe(before["backend-first"]);
          expect(await standIn()).toBe("");
        },
        15 * MINUTE,
      );

      test(
        "start-first: the old one serves until the new one answers, and nothing is left of the stand-in; stop-first: requests wait at the closed valve; none fails of either",
        async () => {
          const before = await containersOf(stack);
          edit(({ first, later }) => {
            delete first!.extraArgs;
            first!.ctxSize = 2048;
            later!.ctxSize = 2048;
          });
          await meanwhile(["first", "later"], async () =>
            expect(await up()).toMatchObject({ code: 0, said: "" }),
          );
          expect(changed(before, await containersOf(stack))).toEqual(
            expect.arrayContaining(["backend-first", "backend-later"]),
          );
          expect(await standIn()).toBe("");
        },
        15 * MINUTE,
      );

      // Compose has no part in these verbs.
      if (engine === "pulumi")
        test(
          "stopped and started by hand: requests wait, and none fails",
          () =>
            meanwhile(["later"], async () => {
              for (const verb of ["stop", "start"])
                expect((await gpubox(project, "model", verb, "later")).code).toBe(0);
            }),
          10 * MINUTE,
        );
    },
  );
});
