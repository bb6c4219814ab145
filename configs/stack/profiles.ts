import type { Problem } from "../kit/problems";
import { KEY_BELONGS, urlProblems } from "../network/url";
import type { StackConfig } from "./config";

/** A gateway runs with a database (`stateful`) or without one (`stateless`). */
export const profiles = ["stateful", "stateless"] as const;

export type Profile = (typeof profiles)[number];

/** The profile of the box's own gateway. */
export function profileOf({ database }: Pick<StackConfig, "database">): Profile {
  return database.mode === "none" ? "stateless" : "stateful";
}

/**
 * The models of the box's own gateway, without `profiles`: a change for other gateways must not change this box.
 */
export function modelsOfBox(config: Pick<StackConfig, "database" | "models">): StackConfig["models"] {
  const profile = profileOf(config);
  return Object.fromEntries(
    Object.entries(config.models)
      .filter(([, { profiles }]) => profiles?.[profile] !== false)
      .map(([name, { profiles: _, ...model }]) => [name, model as StackConfig["models"][string]]),
  );
}

/** Mistakes in how gateways outside the box reach the models. */
export function checkProfiles({ models }: StackConfig): Problem[] {
  return Object.entries(models).flatMap(([name, model]) => {
    const path = `gpubox:models.${name}.profiles`;
    if (!model.profiles) return [];
    const problems: Problem[] = [];
    if (profiles.every((profile) => model.profiles?.[profile] === false))
      problems.push({
        path,
        what: "No gateway would serve this model.",
        fix: "Let one of the two be true, or remove the model.",
      });
    for (const profile of profiles) {
      const differs = model.profiles[profile];
      if (typeof differs !== "object") continue;
      const at = `${path}.${profile}.baseUrl`;
      if (model.engine === "cloud")
        problems.push({
          path: at,
          what: "Every gateway reaches a provider at the same address.",
          fix: `Write ${profile}: true or false.`,
        });
      else problems.push(...urlProblems(differs.baseUrl, at, { kind: "versioned", login: KEY_BELONGS }));
    }
    return problems;
  });
}
