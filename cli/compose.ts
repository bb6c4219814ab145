import { writeComposeFile } from "../operations/compose/composeEngine";
import { COMPOSE_LOSES } from "../operations/compose/composeFile";
import { openStack } from "../platform/stack/openStack";
import { printing, stackCommand } from "./command";
import { say } from "./output";

export const definition = stackCommand("compose")
  .description("Write the Compose file of a stack, and start nothing (docs/compose.md).")
  .action(
    printing(async ({ stack }) => {
      const { plan, projectDir } = await openStack(stack);
      const path = writeComposeFile(projectDir, plan);
      say(`${path} describes the box and contains no secrets. Compared with \`pulumi up\` it loses:`);
      for (const loss of COMPOSE_LOSES) say(`- ${loss}`);
      return { path, loses: COMPOSE_LOSES };
    }),
  );
