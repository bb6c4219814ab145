import { nearest, type Problem } from "../kit/problems";
import type { StackConfig } from "../stack/config";
import { hardwareOf, verifiedHere, verifiedOn } from "./fit";
import { RECIPES, type Recipe } from "./recipe";

/** On which hardware the recipes of a stack's entries were verified, and whether this host is such. */
export function recipeNotes({ models, host }: StackConfig): string[] {
  return Object.entries(models).flatMap(([name, entry]) => {
    if (!("recipe" in entry)) return [];
    const recipe = recipeNamed(entry.recipe);
    if (!recipe) return [];
    const gpu = host.gpus.find(({ id }) => entry.gpu?.devices.includes(id));
    const hardware = gpu && hardwareOf(gpu);
    const here = hardware && verifiedHere(recipe, hardware);
    const like = `Its device is like ${hardware && RECIPES.hardware[hardware]?.name}`;
    const own = hardware ? `${like}${here ? "" : ": not verified there"}` : "No recipe knows its device";
    return [
      `${name} follows the recipe ${recipe.id} of ${recipe.updated}, verified on ${verifiedOn(recipe)}. ${own}.`,
    ];
  });
}

/** Refuses the name of a recipe that is not in the index. */
export function checkRecipes({ models }: StackConfig): Problem[] {
  return Object.entries(models).flatMap(([name, entry]) => {
    if (!("recipe" in entry) || entry.recipe === undefined || recipeNamed(entry.recipe)) return [];
    const near = nearest(
      entry.recipe,
      RECIPES.recipes.map(({ id }) => id),
    );
    return [
      {
        path: `gpubox:models.${name}.recipe`,
        what: `No recipe has the name "${entry.recipe}".`,
        fix: near ? `Did you mean "${near}"?` : "Leave it out: it changes nothing of the server.",
      },
    ];
  });
}

function recipeNamed(id: string | undefined): Recipe | undefined {
  return RECIPES.recipes.find((recipe) => recipe.id === id);
}
