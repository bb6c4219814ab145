import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { type ImageName, type ImageRole, imageRoles, isOwnImage } from "../../configs/kit/imageRoles";
import { imagesDir } from "../project";

/** A folder of `images/`. */
export type Recipe = ImageRole | "base";

/**
 * Recipes based on another role's image; the others start from the base. There is none for llama-swap, which no package
 * registry has: one that a person adds starts from its servers' image.
 */
export const STARTS_FROM: Record<string, ImageRole> = { ollama: "llamacpp", "llama-swap": "llamacpp" };

/**
 * Name of the image that a recipe makes: `gpubox/<recipe>:<hash>`, with 12 hex digits over the names and bytes of the
 * files of the recipe and its bases. The same files give the same name on every machine.
 */
export function recipeReference(projectDir: string, recipe: Recipe): string {
  const hash = createHash("sha256");
  for (const folder of new Set(["base", STARTS_FROM[recipe] ?? "base", recipe])) {
    const root = join(imagesDir(projectDir), folder);
    for (const file of filesUnder(root)) {
      const bytes = readFileSync(join(root, file));
      hash.update(`${folder}/${file}\0${bytes.length}\0`).update(bytes);
    }
  }
  return `gpubox/${recipe}:${hash.digest("hex").slice(0, 12)}`;
}

/** True for roles whose image can be built from `images/` when no registry answers. */
export function hasRecipe(projectDir: string, role: ImageName): role is ImageRole {
  return !isOwnImage(role) && existsSync(join(imagesDir(projectDir), role, "Dockerfile"));
}

/** Every role that has a recipe. */
export function recipeRoles(projectDir: string): ImageRole[] {
  return imageRoles.filter((role) => hasRecipe(projectDir, role));
}

/** Paths of the files below a folder, sorted, without leftovers of editors and Python. */
function filesUnder(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !/(^|\/)(\.|__pycache__\/)|~$/.test(path))
    .sort();
}
