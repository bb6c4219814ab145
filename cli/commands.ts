import type { CommandUnknownOpts } from "@commander-js/extra-typings";

/** A command of the program, and how to load it. */
export interface Entry {
  name: string;
  /** A few words for the list of commands. */
  summary: string;
  /** Heading in the list of commands. */
  group: string;
  load: () => Promise<{ definition: CommandUnknownOpts }>;
}

type Row = [name: string, summary: string, load: Entry["load"]];

/** Every command by heading, in the order of the help. */
const TREE: Record<string, Row[]> = {
  "Bring a box up and change it:": [
    ["init", "write your own project", () => import("./init.ts")],
    ["import", "write a stack file of what already runs", () => import("./import.ts")],
    ["up", "bring a box up, or converge it to its stack config, and prove it", () => import("./up.ts")],
    ["preview", "show what `up` would change, in terms of models", () => import("./preview.ts")],
    ["down", "remove a box; data stays unless you name it", () => import("./down.ts")],
    ["rollback", "return to the previous generation and its stack config", () => import("./rollback.ts")],
    ["upgrade", "show what a new version of gpubox changes", () => import("./upgrade.ts")],
    ["host", "prepare a bare Debian or Ubuntu, or show a host at a glance", () => import("./host.ts")],
  ],
  "Look at a box:": [
    ["doctor", "say what is wrong with a box, and what to do", () => import("./doctor.ts")],
    ["smoke", "ask a box everything that a client could", () => import("./smoke.ts")],
    ["drift", "compare a host with its plan", () => import("./drift.ts")],
    ["logs", "print the logs of a model or a part", () => import("./logs.ts")],
    ["usage", "show spend by model, key and day", () => import("./usage.ts")],
    ["keys", "show the virtual keys and what each has left", () => import("./keys.ts")],
    ["people", "show who may use the UI, and invite somebody", () => import("./people.ts")],
  ],
  "Models and clients:": [
    ["models", "show, list and lock models", () => import("./models.ts")],
    ["model", "start or stop one model, or decide on its canary", () => import("./model.ts")],
    ["bench", "measure how fast a model is", () => import("./bench.ts")],
    ["plan", "show how the models share the GPUs", () => import("./plan.ts")],
    ["recommend", "list models with a verified recipe that fit the GPUs", () => import("./recommend.ts")],
    ["connect", "print a script that points a client at the box", () => import("./connect.ts")],
    ["cache", "remove cached answers", () => import("./cache.ts")],
  ],
  "Jobs and trajectories:": [
    ["job", "run a separate gateway for an eval job", () => import("./job.ts")],
    ["trajectory", "read a gateway's requests and answers", () => import("./trajectory.ts")],
  ],
  "Data:": [
    ["backup", "back up the database", () => import("./backup.ts")],
    ["restore", "replace the database with a backup", () => import("./restore.ts")],
    ["database", "start with an empty database", () => import("./database.ts")],
    ["gc", "remove images, weights and generations that nothing needs", () => import("./gc.ts")],
  ],
  "Files for other tools:": [
    ["compose", "write the Compose file of a stack", () => import("./compose.ts")],
    ["manifests", "print a stack as objects of Kubernetes", () => import("./manifests.ts")],
    ["gateway-config", "write the gateway's config for another machine", () => import("./gateway-config.ts")],
    ["images", "lock, update or build images", () => import("./images.ts")],
    ["completion", "print a script for your shell's completion", () => import("./completion.ts")],
  ],
};

export const COMMANDS: Entry[] = Object.entries(TREE).flatMap(([group, rows]) =>
  rows.map(([name, summary, load]) => ({ name, summary, group, load })),
);
