import { type LockChange, updateLock } from "../runner/imageLock";
import { UserError } from "../runner/process";
import { buildRecipes, defaultRecipes, recipeRoles } from "../runner/recipes";
import { say, verb } from "./verb";

const USAGE = "Run `npm run images lock`, `npm run images update` or `npm run images build [ROLE…]`.";

/** npm runs a script in the folder of its package.json. */
const projectDir = process.cwd();

const about = {
  name: "images",
  does: "lock: resolves tags that have no digest yet. update: resolves every tag anew. build: builds the recipes now.",
  words: "lock|update|build [ROLE …]",
  options: {},
} as const;

verb(about, async ({ positionals: [command, ...rest] }) => {
  if (rest.length > 0 && command !== "build")
    throw new UserError(`"${rest.join(" ")}" is not understood.`, USAGE);
  switch (command) {
    case "lock":
    case "update": {
      const changes = await updateLock(projectDir, command === "lock" ? "missing" : "all");
      for (const change of changes) say(lineOf(change));
      const failed = changes.filter(({ failure }) => failure).map(({ role }) => role);
      if (failed.length === 0) return changes;
      throw new UserError(
        `Not resolved: ${failed.join(", ")}.`,
        `Run \`npm run images ${command}\` where the registries answer; until then those with a recipe are built from images/.`,
      );
    }
    case "build": {
      const roles = rest.length > 0 ? rest.map(recipeRole) : defaultRecipes;
      await buildRecipes(roles, {
        projectDir,
        docker: process.env.DOCKER_HOST || "unix:///var/run/docker.sock",
        log: say,
      });
      return { built: roles };
    }
    default:
      throw new UserError(command ? `There is no "${command}".` : "What about the images?", USAGE);
  }
});

function recipeRole(name: string) {
  const roles = recipeRoles(projectDir);
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
