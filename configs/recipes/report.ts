import { hundredthsOfGiB } from "../kit/sizes";
import { table } from "../kit/table";
import type { Fit } from "./fit";
import { RECIPES } from "./recipe";

/** The table of `gpubox recommend`: what fits, best first, with the sum. */
export function recommendText(found: Fit[]): string {
  const head = ["MODEL", "CHECKPOINT", "DEVICES", "NEEDS", "LEFT", "CONTEXT", "VERIFIED HERE"];
  const rows = found.map((fit) => [
    fit.recipe.id,
    `${fit.variant.model} (${fit.variant.precision})`,
    fit.devices.map(({ id }) => id).join(", "),
    gib(fit.needBytes, "up"),
    gib(fit.roomBytes - fit.needBytes, "down"),
    fit.recipe.context === undefined ? "" : String(fit.recipe.context),
    fit.verified ? "yes" : "no",
  ]);
  const { repository, date, license } = RECIPES.source;
  return [
    ...table(head, rows, (column) => column >= 3 && column <= 5),
    "",
    `NEEDS is the recipe's sum over all its devices: parameters times bytes, and a fifth for cache and activations. LEFT of what`,
    "this stack's models leave is for longer contexts and more requests. `gpubox model add MODEL` writes the entry, and the",
    `planner then counts exactly. From ${repository} of ${date} (${license}).`,
  ].join("\n");
}

/** The list for programs: bytes, and the ids of devices. */
export function recommendData(found: Fit[]) {
  return found.map(({ recipe, variant, devices, needBytes, roomBytes, verified }) => ({
    recipe: recipe.id,
    checkpoint: variant.model,
    precision: variant.precision,
    devices: devices.map(({ id }) => id),
    needBytes,
    roomBytes,
    context: recipe.context,
    verified,
  }));
}

function gib(bytes: number, round: "up" | "down"): string {
  return `${hundredthsOfGiB(bytes, round)} GiB`;
}
