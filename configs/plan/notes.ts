import { whyUnresolved } from "../models/lock";
import type { PlanContext } from "./context";
import { usesDatabase } from "./gateway";
import { imageRolesOf } from "./imageRoles";

/** Sentences for the person who runs `up`: what the plan does without, and why. */
export function planNotes(context: PlanContext, leftOut: Record<string, string[]>): string[] {
  const { config, resolved } = context;
  const notes: string[] = [];
  if (config.database.mode !== "none" && !usesDatabase(context))
    notes.push(
      "The gateway runs stateless: its image was built from PyPI, which has no Prisma engines, so it cannot use the database. " +
        `There are no virtual keys${config.gateway.limits.budget ? ", no spend and no budget for the whole gateway" : " and no spend"} until the official image can be pulled.`,
    );
  for (const name of resolved.offlineModels)
    notes.push(`No model hub answered: ${name} is served by its offlineModel, which has one fixed answer.`);
  for (const [name, secrets] of Object.entries(leftOut))
    notes.push(
      `${name} is optional and left out: ${secrets.join(", ")} ${secrets.length > 1 ? "are" : "is"} not set.`,
    );
  for (const { model = "" } of Object.values(config.models)) {
    const reason = whyUnresolved(context.lock ?? {}, model);
    if (reason) notes.push(`${model} is not locked: ${reason}`);
  }
  const unlocked = imageRolesOf(config).flatMap(({ role }) => {
    const image = resolved.images[role];
    return image?.source === "unresolved" ? [`${role} (${image.reference})`] : [];
  });
  if (unlocked.length > 0)
    notes.push(
      `No digest is locked yet for ${unlocked.join(", ")}: the plan names a tag. \`npm run up\` locks it where the registry answers.`,
    );
  return notes;
}
