import { readFileSync } from "node:fs";
import { join } from "node:path";
import { changesIn, newerThan } from "../operations/upgrade/changes";
import { ensureStackConfig, findProject, packageDir } from "../platform/project";
import { rememberedVersion } from "../platform/stack/stackConfig";
import { packageVersion, versionAtLeast } from "../platform/versions";
import { printing, stackCommand } from "./command";
import { say } from "./output";

export const definition = stackCommand("upgrade")
  .description("Show what changed in gpubox since a stack's box was brought up. Changes nothing.")
  .action(
    printing(async ({ stack }) => {
      const projectDir = findProject();
      ensureStackConfig(projectDir, stack);
      const [from, to] = [rememberedVersion(projectDir, stack), packageVersion()];
      const changelog = readFileSync(join(packageDir, "CHANGELOG.md"), "utf8");
      const changes = from === to ? [] : newerThan(changesIn(changelog), from, versionAtLeast);
      say(
        from === to
          ? `The stack ${stack} was brought up by gpubox ${to}, which is this version.`
          : `The stack ${stack} was brought up by ${from ? `gpubox ${from}` : "a version that it does not name"}; this is gpubox ${to}.`,
      );
      for (const { version, text } of changes) say(`\n${version}\n\n${text}`);
      say(
        `\n\`gpubox preview --stack ${stack}\` shows what that means for the box, \`gpubox up --stack ${stack}\` applies it.`,
      );
      return { stack, from: from ?? null, to, changes };
    }),
  );
