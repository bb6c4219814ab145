import { Command } from "@commander-js/extra-typings";
import { printing } from "../cli/command";
import { portNumber } from "../cli/numbers";
import { say } from "../cli/output";
import { runProgram, strict } from "../cli/run";
import { UserError } from "../platform/process";
import { LoadBox, STATEFUL } from "../test/load/box";
import { play, type Row, scenes, table } from "../test/load/play";
import { missing } from "../test/support/needs";

const program = new Command("load")
  .description(
    `Show what clients lose while a box of its own changes under load. Scenes: ${Object.keys(scenes).join(", ")}.`,
  )
  .argument("[scene...]", "default: all that are not run by name only")
  .option("--json", "print one JSON document on standard output")
  .option("--stack <name>", "name of that box", "load1")
  .option("--port <port>", "its port", portNumber, 4400)
  .action(
    printing(async (positionals, options) => {
      if (missing("docker", "pulumi").length > 0)
        throw new UserError(
          "The load scenes need a Docker engine and Pulumi.",
          "Run `gpubox up` once: it brings both.",
        );
      const unknown = positionals.filter((name) => !Object.hasOwn(scenes, name));
      if (unknown.length > 0)
        throw new UserError(
          `There is no scene ${unknown.join(", ")}.`,
          `Choose from: ${Object.keys(scenes).join(", ")}.`,
        );
      const all = Object.keys(scenes).filter((name) => !scenes[name]!.byName);
      const names = positionals.length > 0 ? positionals : all;

      say(`bringing up the stack ${options.stack} with a stub behind it`);
      const box = await LoadBox.open(options.stack, options.port, {}, undefined, STATEFUL);
      const rows: Row[] = [];
      try {
        for (const name of names) {
          say(`\n${name}: ${scenes[name]!.title}`);
          const row = await play(box, name);
          rows.push(row);
          say(table([row]));
        }
      } finally {
        box.close();
      }
      say(`\n${table(rows)}`);
      const failed = rows.filter((row) => row.verdict === "FAILED");
      if (failed.length > 0) {
        say(`\nbelow the bar: ${failed.map(({ name }) => name).join(", ")}`);
        process.exitCode = 1;
      }
      return rows;
    }),
  );

void runProgram(() => strict(program as never), process.argv.slice(2));
