import { type Problem, suggestion } from "../kit/problems";
import type { KeyConfig, TeamConfig, UserConfig } from "../schema/access";
import type { SecretFacts } from "../secrets/facts";
import { generatedSecrets, type StackConfig } from "../stack/config";
import { accessGroups, namesOf } from "../stack/instances";
import { virtualKeys } from "../stack/requiredSecrets";
import { isServed } from "../stack/wildcards";
import { checkPeople } from "./people";
import { checkSso } from "./sso";

const ROOT = "gpubox:access";

/** Mistakes of the declared teams, people and keys. */
export function checkAccess(config: StackConfig, secrets: SecretFacts): Problem[] {
  const { teams, users, keys } = config.access;
  return [
    ...checkDatabase(config),
    ...checkGroups(config),
    ...Object.entries(teams).flatMap(([name, team]) => checkLimits(config, `${ROOT}.teams.${name}`, team)),
    ...Object.entries(users).flatMap(([name, user]) => checkLimits(config, `${ROOT}.users.${name}`, user)),
    ...checkPeople(config),
    ...checkSso(config),
    ...Object.entries(keys).flatMap(([name, key]) => {
      const path = `${ROOT}.keys.${name}`;
      return [...checkLimits(config, path, key), ...checkTeam(config, path, key)];
    }),
    ...checkValues(config, secrets),
  ];
}

/** True where the config declares what only a database can hold. */
export function declaresAccess({ access }: StackConfig): boolean {
  const { ui, sso, teams, users, keys } = access;
  return (ui ?? sso) !== undefined || Object.keys({ ...teams, ...users, ...keys }).length > 0;
}

/** A name in `models` of a key has to say whether it is a model or a group. */
function checkGroups({ models }: StackConfig): Problem[] {
  const names = Object.entries(models).flatMap(([name, model]) => namesOf(name, model));
  return Object.entries(models).flatMap(([name, model]) =>
    accessGroups(model)
      .filter((group) => names.includes(group))
      .map((group) => ({
        path: `gpubox:models.${name}.info.access_groups`,
        what: `The group "${group}" has the name of a model.`,
        fix: "Give it another name.",
      })),
  );
}

function checkDatabase(config: StackConfig): Problem[] {
  if (config.database.mode !== "none" || !declaresAccess(config)) return [];
  return [
    {
      path: ROOT,
      what: "Teams, people, keys and the UI need a database, and this stack has none.",
      fix: "Write gpubox:database mode: bundled, or remove this section.",
    },
  ];
}

function checkLimits(
  config: StackConfig,
  path: string,
  limited: TeamConfig | KeyConfig | UserConfig,
): Problem[] {
  const problems: Problem[] = [];
  if (limited.budgetDuration && limited.budgetUsd === undefined)
    problems.push({
      path: `${path}.budgetDuration`,
      what: "There is no budget to reset.",
      fix: "Write budgetUsd too, or remove this.",
      judgedBy: { paths: [`${path}.budgetUsd`] },
    });
  const names = Object.entries(config.models).flatMap(([name, model]) => [
    ...namesOf(name, model),
    ...accessGroups(model),
  ]);
  for (const [index, model] of (limited.models ?? []).entries())
    if (!isServed(model, names))
      problems.push({
        path: `${path}.models[${index}]`,
        what: `There is no model "${model}".`,
        fix: names.length > 0 ? suggestion(model, names) : "Declare it under gpubox:models.",
        judgedBy: { model },
      });
  return problems;
}

/** A key cannot use more than its team allows. */
function checkTeam(config: StackConfig, path: string, key: KeyConfig): Problem[] {
  if (!key.team) return [];
  const { teams } = config.access;
  const team = Object.hasOwn(teams, key.team) ? teams[key.team] : undefined;
  if (!team) {
    const known = Object.keys(teams);
    const fix = known.length > 0 ? suggestion(key.team, known) : `Declare it under ${ROOT}.teams.`;
    const judgedBy = { paths: [`${ROOT}.teams`] };
    return [{ path: `${path}.team`, what: `There is no team "${key.team}".`, fix, judgedBy }];
  }
  const problems: Problem[] = [];
  const samePeriod = key.budgetDuration === team.budgetDuration;
  for (const limit of ["rpm", "tpm", ...(samePeriod ? (["budgetUsd"] as const) : [])] as const)
    if ((key[limit] ?? 0) > (team[limit] ?? Number.POSITIVE_INFINITY))
      problems.push({
        path: `${path}.${limit}`,
        what: `${key[limit]} is more than the ${team[limit]} of its team ${key.team}, which count too.`,
        fix: `Write at most ${team[limit]}, or raise the team's.`,
      });
  for (const [index, model] of (key.models ?? []).entries())
    if (team.models && !isServed(model, team.models))
      problems.push({
        path: `${path}.models[${index}]`,
        what: `Its team ${key.team} may not use ${model}.`,
        fix: `Add it to ${ROOT}.teams.${key.team}.models, or remove it here.`,
      });
  return problems;
}

/** Mistakes in the keys' values, judged by the facts about their secrets. */
function checkValues(config: StackConfig, secrets: SecretFacts): Problem[] {
  const keys = virtualKeys(config.access);
  const problems: Problem[] = [];
  for (const [index, { name, path }] of keys.entries()) {
    const set = `Set another value: pulumi config set --secret gpubox:${name}.`;
    if (keys.findIndex((other) => other.name === name) !== index)
      problems.push({
        path,
        what: `The secret ${name} is the key of another entry too.`,
        fix: "Name a secret of its own; a missing one is made.",
      });
    if (generatedSecrets.some((own) => own === name)) {
      problems.push({
        path,
        what: `The secret ${name} has another use.`,
        fix: "Name a secret of its own; a missing one is made.",
      });
      continue;
    }
    const fact = secrets[name];
    if (fact?.unfitAsKey) problems.push({ path, what: `The secret ${name} ${fact.unfitAsKey}.`, fix: set });
    if (fact?.sameAs) problems.push({ path, what: `The secret ${name} equals ${fact.sameAs}.`, fix: set });
  }
  return problems;
}
