import type { CommandUnknownOpts } from "@commander-js/extra-typings";

/** A command of the program, and how to load it. */
export interface Entry {
  name: string;
  /** A few words for the list of commands. */
  summary: string;
  /** Heading that it stands under in the list. */
  group: string;
  load: () => Promise<{ definition: CommandUnknownOpts }>;
}

type Row = [name: string, summary: string, load: Entry["load"]];

/** Every command by heading, in the order of the help. */
const TREE: Record<string, Row[]> = {
  "Bring a box up and change it:": [
    ["init", "write a project of your own", () => import("./init.ts")],
    ["up", "bring a box up, or converge it to its stack config, and prove it", () => import("./up.ts")],
    ["preview", "say in terms of models what `up` would change", () => import("./preview.ts")],
    ["down", "take a box away; data stays unless you name it", () => import("./down.ts")],
    ["rollback", "return to the previous generation and its stack config", () => import("./rollback.ts")],
    ["upgrade", "tell what a new version of gpubox changes", () => import("./upgrade.ts")],
    ["host", "prepare a bare Debian or Ubuntu behind SSH", () => import("./host.ts")],
  ],
  "Look at a box:": [
    ["doctor", "say what is wrong with a box, and what to do", () => import("./doctor.ts")],
    ["smoke", "ask a box everything that a client could", () => import("./smoke.ts")],
    ["drift", "compare a host with its plan", () => import("./drift.ts")],
    ["logs", "print the logs of a model or a part", () => import("./logs.ts")],
    ["usage", "show spend by model, key and day", () => import("./usage.ts")],
    ["keys", "show the virtual keys and what each has left", () => import("./keys.ts")],
  ],
  "Models and clients:": [
    ["models", "show, list and lock models", () => import("./models.ts")],
    ["model", "start or stop one model", () => import("./model.ts")],
    ["plan", "show how the models share the GPUs", () => import("./plan.ts")],
    ["connect", "print a script that points a client at the box", () => import("./connect.ts")],
    ["cache", "remove cached answers", () => import("./cache.ts")],
  ],
  "Jobs and trajectories:": [
    ["job", "run a gateway of its own for an eval job", () => import("./job.ts")],
    ["trajectory", "read what a gateway was asked and answered", () => import("./trajectory.ts")],
  ],
  "Data:": [
    ["backup", "back up the database", () => import("./backup.ts")],
    ["restore", "put a backup in the database's place", () => import("./restore.ts")],
    ["database", "begin with an empty database", () => import("./database.ts")],
    ["gc", "remove images, weights and generations that nothing needs", () => import("./gc.ts")],
  ],
  "Files for other tools:": [
    ["compose", "write the Compose file of a stack", () => import("./compose.ts")],
    ["gateway-config", "write the gateway's config for another machine", () => import("./gateway-config.ts")],
    ["images", "lock, update or build images", () => import("./images.ts")],
    ["completion", "print a script for your shell's completion", () => import("./completion.ts")],
  ],
};

export const COMMANDS: Entry[] = Object.entries(TREE).flatMap(([group, rows]) =>
  rows.map(([name, summary, load]) => ({ name, summary, group, load })),
);
