import { buildRecipes, defaultRecipes } from "../operations/images/buildRecipes";
import { type LockChange, updateLock } from "../operations/images/lockImages";
import { UserError } from "../platform/process";
import { findProject } from "../platform/project";
import { ownImagesOf } from "../platform/stack/ownImages";
import { recipeRoles } from "../platform/stack/recipes";
import { command, group, printing } from "./command";
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
          docker: process.env.DOCKER_HOST || "unix:///var/run/docker.sock",
          projectDir: findProject(),
          log,
          report,
        }),
      );
      return { built: roles };
    }),
  );

export const definition = group(
  "images",
  "Tags, digests and recipes of the images (docs/images.md).",
  lock,
  update,
  build,
);

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
