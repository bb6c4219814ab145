import { resolve } from "node:path";
import { buildRecipes, defaultRecipes } from "../operations/images/buildRecipes";
import { loadImages } from "../operations/images/loadImages";
import { type LockChange, updateLock } from "../operations/images/lockImages";
import { saveImages } from "../operations/images/saveImages";
import { UserError } from "../platform/process";
import { ensureStackConfig, findProject } from "../platform/project";
import { checkEngine } from "../platform/stack/checkEngine";
import { connectStack, readStackHost } from "../platform/stack/host";
import { ownImagesOf } from "../platform/stack/ownImages";
import { checkStackFile } from "../platform/stack/planStack";
import { recipeRoles } from "../platform/stack/recipes";
import { command, examples, group, printing, stackCommand } from "./command";
import { say } from "./output";
import { withProgress } from "./progress";

const lock = command("lock")
  .description("Resolve the tags that have no digest yet.")
  .action(printing(() => resolveTags("missing", "lock")));

const update = command("update")
  .description("Resolve every tag again.")
  .action(printing(() => resolveTags("all", "update")));

const build = command("build")
  .description("Build recipes now, for hosts that reach no registry.")
  .argument("[role...]", "default: what the default stack needs")
  .action(
    printing(async (names) => {
      const roles = names.length > 0 ? names.map(recipeRole) : defaultRecipes;
      await withProgress(say, (log, report) =>
        buildRecipes(roles, {
          docker: ownEngine(),
          projectDir: findProject(),
          log,
          report,
        }),
      );
      return { built: roles };
    }),
  );

const save = stackCommand("save")
  .description(
    "Write the images of a stack into a folder, with their hashes, for a host that reaches no registry.",
  )
  .argument("<dir>", "the folder; it is made if there is none")
  .addHelpText("after", examples("images save /media/stick/images --stack gpu1"))
  .action(
    printing(async (folder, { stack }) => {
      const projectDir = findProject();
      ensureStackConfig(projectDir, stack);
      const config = checkStackFile(projectDir, stack, {});
      return withProgress(say, (log, report) =>
        saveImages({ projectDir, config, docker: ownEngine(), folder: resolve(folder), log, report }),
      );
    }),
  );

const load = stackCommand("load")
  .description("Bring the images of such a folder to a stack's host, over SSH too.")
  .argument("<dir>", "a folder that `gpubox images save` wrote")
  .addHelpText("after", examples("images load /media/stick/images --stack gpu1"))
  .action(
    printing(async (name, { stack }) => {
      const projectDir = findProject();
      const folder = resolve(name);
      ensureStackConfig(projectDir, stack);
      const at = readStackHost(projectDir, stack);
      if (!at)
        throw new UserError(`gpubox:host of Pulumi.${stack}.yaml has mistakes.`, "`gpubox plan` names them.");
      connectStack(projectDir, stack);
      checkEngine(at);
      return withProgress(say, (log, report) => loadImages({ projectDir, at, folder, log, report }));
    }),
  );

export const definition = group(
  "images",
  "Tags, digests and recipes of the images, and the way to a host without a registry (docs/images.md).",
  lock,
  update,
  build,
  save,
  load,
);

/** The engine of this machine. */
function ownEngine(): string {
  return process.env.DOCKER_HOST || "unix:///var/run/docker.sock";
}

async function resolveTags(which: "missing" | "all", verb: string): Promise<LockChange[]> {
  const projectDir = findProject();
  const changes = await updateLock(projectDir, which, ownImagesOf(projectDir));
  for (const change of changes) say(lineOf(change));
  const failed = changes.filter(({ failure }) => failure).map(({ role }) => role);
  if (failed.length === 0) return changes;
  throw new UserError(
    `Not resolved: ${failed.join(", ")}.`,
    `Run \`gpubox images ${verb}\` where the registries answer. Until then, images with a recipe are built from images/.`,
  );
}

function recipeRole(name: string) {
  const roles = recipeRoles(findProject());
  const role = roles.find((one) => one === name);
  if (role) return role;
  throw new UserError(
    `There is no recipe for "${name}".`,
    `Name one of ${roles.join(", ")}, or none of them.`,
  );
}

function lineOf({ role, old, entry, failure }: LockChange): string {
  const name = `${role.padEnd(15)} ${entry.image}:${entry.tag}`;
  if (failure) return `${name}  ${old ?? "no digest"} stays: ${failure}`;
  const change = entry.digest === old ? `${old} (unchanged)` : `${old ?? "no digest"} -> ${entry.digest}`;
  return `${name}  ${change}  signature: ${entry.verified}`;
}
