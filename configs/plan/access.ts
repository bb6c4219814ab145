import type { StepPlan } from "../kit/containerPlan";
import type { TextPart } from "../kit/text";
import type { KeyConfig, TeamConfig, UserConfig } from "../schema/access";
import type { StackConfig } from "../stack/config";
import type { PlanContext } from "./context";

/** Writes the declared teams, people and keys to LiteLLM's database, from inside the gateway that GPUBOX_CONTAINER names. */
export const ACCESS = 'docker exec -i "$GPUBOX_CONTAINER" python3 /etc/gpubox/access.py';

/**
 * The step that makes the database match the declared teams, people and keys. It exists even without any, to remove those declared
 * before. Its input is what `assets/gateway/access.py` reads, with LiteLLM's field names, and contains the keys.
 */
export function planAccess({ config, prefix }: PlanContext): StepPlan {
  const teamId = (team: string) => `${prefix}-${team}`;
  const teams = sorted(config.access.teams).map(([name, team]) => ({
    name,
    id: teamId(name),
    fields: { team_alias: name, ...limits(config, team) },
  }));
  const users = sorted(config.access.users).map(([name, user]) => ({
    name,
    id: `${prefix}-${name}`,
    teams: user.teams.map(teamId).sort(),
    fields: { user_alias: name, user_email: user.email, user_role: user.role, ...userLimits(config, user) },
  }));
  const keys = sorted(config.access.keys).flatMap(([name, key]) => {
    const fields = {
      ...limits(config, key),
      max_parallel_requests: key.maxParallel ?? null,
      team_id: key.team ? teamId(key.team) : null,
    };
    const expires = key.expires && new Date(key.expires).toISOString();
    const one = (secret: string, alias: string): TextPart[] => [
      '{"key":',
      { secret, as: "json" },
      `,${JSON.stringify({ name, expires, fields: { key_alias: alias, ...fields } }).slice(1)}`,
    ];
    return [
      one(key.key.secret, name),
      ...(key.previous ? [one(key.previous.secret, `${name} (previous)`)] : []),
    ];
  });
  const head = JSON.stringify({ stack: config.stack, teams, ...(users.length > 0 ? { users } : {}) }).slice(
    0,
    -1,
  );
  const list = keys.flatMap((parts, index) => [...(index > 0 ? [","] : []), ...parts]);
  return { name: "access", script: ACCESS, stdin: [`${head},"keys":[`, ...list, "]}\n"] };
}

/** LiteLLM ignores an update of a person to no models, so all of them have a name of their own. */
function userLimits(config: StackConfig, user: UserConfig) {
  const { models, ...others } = limits(config, user);
  return { ...others, models: models.length > 0 ? models : ["all-proxy-models"] };
}

function limits(config: StackConfig, limited: TeamConfig | KeyConfig | UserConfig) {
  return {
    models: (limited.models ?? []).flatMap((name) => everyName(config, name)),
    max_budget: limited.budgetUsd ?? null,
    budget_duration: limited.budgetDuration ?? null,
    rpm_limit: limited.rpm ?? null,
    tpm_limit: limited.tpm ?? null,
  };
}

/** A model by its name and its aliases: LiteLLM compares the name that the client wrote. An adapter has only its own name. */
function everyName({ models }: StackConfig, name: string): string[] {
  const names = Object.entries(models).map(([one, { aliases }]) => [one, ...aliases]);
  return names.find((own) => own.includes(name)) ?? [name];
}

/** Pulumi sorts maps before it hands them over, and the order must make no difference. */
function sorted<T>(map: Record<string, T>): [string, T][] {
  return Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));
}
