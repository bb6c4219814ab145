import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packageDir } from "../../platform/project";

/**
 * Every line of the program that ends a container, by file: whether what it ends may be a model server. Those files close the
 * valves first. A new place has to be judged here.
 */
const PLACES: Record<string, "model servers" | "others"> = {
  "components/Service.ts": "model servers",
  // A stand-in: after its own drain, or before it had a request, or together with its box.
  "components/beside.ts": "others",
  "configs/kit/steps.ts": "others",
  "configs/plan/beside.ts": "others",
  "configs/plan/migration.ts": "others",
  "operations/backup/rehearse.ts": "others",
  "operations/cache/cacheAnswers.ts": "others",
  // A stand-in of a box that goes, after every valve is closed.
  "operations/compose/beforeStop.ts": "others",
  "operations/compose/composeEngine.ts": "model servers",
  // A stranger that holds a name of the box: no valve leads to it.
  "operations/drift/repair.ts": "others",
  "operations/jobs/containers.ts": "others",
  "operations/jobs/start.ts": "others",
  "operations/jobs/stop.ts": "others",
  "operations/models/manualModel.ts": "model servers",
  // A stand-in, after its own drain.
  "operations/up/standIns.ts": "others",
  "operations/up/workers.ts": "model servers",
  "platform/pulumi/state.ts": "model servers",
};

/** By the Docker CLI in arguments or in a script, by Compose, and by the provider. */
const ENDS =
  /(?:^|[(= ])\["(?:stop|kill|restart|rm)"[,\]]|compose\(options, \["down"|\["up", "-d", "--remove|docker (?:stop|kill|restart|rm)\b(?!.*`)|deleteBeforeReplace: true,$/;

/** How each file of {@link PLACES} closes valves. */
const CLOSES: Record<string, RegExp> = {
  // In ready.ts, for every service with valves: test/component/closing.test.ts.
  "components/Service.ts": /this\.ready = ready\(/,
  "operations/compose/composeEngine.ts":
    /closeReplaced\([\s\S]*\["up", "-d", "--remove[\s\S]*closeAll\([\s\S]*\["down"/,
  "operations/models/manualModel.ts": /closeValves\([\s\S]*const stop = \["stop"/,
  "operations/up/workers.ts": /closeValves\([\s\S]*\["stop"/,
  "platform/pulumi/state.ts": /closeValves\([\s\S]*\["stop"/,
};

const files = ["components", "configs", "platform", "operations", "program", "cli"].flatMap((room) =>
  (readdirSync(join(packageDir, room), { recursive: true }) as string[])
    .filter((file) => file.endsWith(".ts"))
    .map((file) => `${room}/${file}`),
);
const textOf = (file: string) => readFileSync(join(packageDir, file), "utf8");

test("every place that ends a container is judged", () => {
  const found = files.filter((file) =>
    textOf(file)
      .split("\n")
      .some((line) => !/^\s*(\*|\/\/)/.test(line) && ENDS.test(line)),
  );
  expect(found.sort()).toEqual(Object.keys(PLACES).sort());
});

test("those that may end a model server close its valves before", () => {
  const servers = Object.entries(PLACES).flatMap(([file, what]) => (what === "model servers" ? [file] : []));
  expect(Object.keys(CLOSES).sort()).toEqual(servers.sort());
  for (const [file, closes] of Object.entries(CLOSES))
    expect([file, textOf(file)]).toEqual([file, expect.stringMatching(closes)]);
});
