import { Option } from "@commander-js/extra-typings";
import { bringUp } from "../operations/up/bringUp";
import { findProject } from "../platform/project";
import { examples, printing, stackCommand } from "./command";
import { say } from "./output";
import { withProgress } from "./progress";

export const definition = stackCommand("up")
  .description(
    "Bring a box up, from a bare machine to answers on both protocols. Run again, it converges to the stack config.",
  )
  .option("-y, --yes", "ask nothing, for example before Docker is installed", false)
  .option(
    "--take-over",
    "take over the host, even if it was another stack's or the box was on another host",
    false,
  )
  .addOption(
    new Option("--engine <engine>", "what converges the box")
      .choices(["pulumi", "compose"] as const)
      .default("pulumi" as const),
  )
  .addHelpText("after", examples("up", "up --stack gpu1 --yes"))
  .action(
    printing((options) =>
      withProgress(say, (log) => bringUp({ ...options, projectDir: findProject(), log })),
    ),
  );
