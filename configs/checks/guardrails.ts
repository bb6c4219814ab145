import { nearest, type Problem } from "../kit/problems";
import { GUARDRAIL_NEEDS, GUARDRAILS_WITHOUT_USE } from "../litellm/guardrails";
import known from "../litellm/keys.json";
import { memberProblem } from "../litellm/modules";
import type { GuardrailsConfig } from "../schema/guardrails";
import type { StackConfig } from "../stack/config";
import { modulesOf } from "../stack/modules";
import { addressProblems } from "./settings";

/** What gpubox says of a guardrail itself, each with the key of a stack config that it is made from. */
const OWNED_PARAMS: Record<string, string> = {
  guardrail: "`guardrail` beside `params`",
  mode: "`mode` beside `params`",
  default_on: "nothing: every request passes every guardrail, because clients cannot choose one",
};

/** Guardrails that LiteLLM would leave out, or that would do nothing. */
export function checkGuardrails(config: StackConfig): Problem[] {
  const { gateway } = config;
  const modules = modulesOf(config);
  return Object.entries(gateway.guardrails).flatMap(([name, entry]) => {
    const path = `gpubox:gateway.guardrails.${name}`;
    const own = memberProblem(entry.guardrail, modules);
    // A class of the user's takes what it likes.
    if (own === "held") return [...ownedParams(entry, path), ...addresses(entry, path)];
    const kind = kindProblem(entry.guardrail, own);
    if (kind) return [{ path: `${path}.guardrail`, ...kind }];
    return [
      ...ownedParams(entry, path),
      ...unknownParams(entry, path),
      ...missing(entry, path, gateway.env),
      ...addresses(entry, path),
    ];
  });
}

function kindProblem(
  kind: string,
  own: Pick<Problem, "what" | "fix" | "judgedBy"> | undefined,
): Pick<Problem, "what" | "fix" | "judgedBy"> | undefined {
  const useless = Object.hasOwn(GUARDRAILS_WITHOUT_USE, kind) ? GUARDRAILS_WITHOUT_USE[kind] : undefined;
  if (useless) return { what: `The guardrail ${kind} has no use here: ${useless.why}.`, fix: useless.fix };
  if (known.guardrails.includes(kind)) return undefined;
  if (own) return own;
  const near = nearest(kind, known.guardrails);
  return {
    what: `LiteLLM ${known.version} has no guardrail "${kind}".`,
    fix: near ? `Did you mean "${near}"?` : `Use one of: ${known.guardrails.join(", ")}.`,
  };
}

type Guardrail = GuardrailsConfig[string];

function ownedParams({ params }: Guardrail, path: string): Problem[] {
  return Object.keys(params)
    .filter((key) => Object.hasOwn(OWNED_PARAMS, key))
    .map((key) => ({
      path: `${path}.params.${key}`,
      what: `${key} is set by gpubox.`,
      fix: `Use ${OWNED_PARAMS[key]}.`,
    }));
}

/** LiteLLM takes any parameter, and acts on none that it does not know. */
function unknownParams({ params }: Guardrail, path: string): Problem[] {
  return Object.keys(params)
    .filter((key) => !known.guardrail_params.includes(key))
    .map((key) => {
      const near = nearest(key, known.guardrail_params);
      return {
        path: `${path}.params.${key}`,
        what: `LiteLLM ${known.version} has no guardrail that takes "${key}".`,
        fix: near ? `Did you mean "${near}"?` : "Remove it.",
      };
    });
}

/** The gateway asks a guardrail's server, from its container. */
function addresses({ params }: Guardrail, path: string): Problem[] {
  return Object.entries(params).flatMap(([key, value]) => addressProblems(value, `${path}.params.${key}`));
}

function missing({ guardrail, params }: Guardrail, path: string, env: Record<string, unknown>): Problem[] {
  const needs = Object.hasOwn(GUARDRAIL_NEEDS, guardrail) ? GUARDRAIL_NEEDS[guardrail]! : [];
  return needs
    .filter(
      ([param, variable]) => !Object.hasOwn(params, param) && !(variable && Object.hasOwn(env, variable)),
    )
    .map(([param, variable]) => ({
      path: `${path}.params`,
      what: `The guardrail ${guardrail} needs ${param}.`,
      fix: `Write ${param}${/(key|token)$/.test(param) ? ": { secret: <its name> }" : ""} here${variable ? `, or ${variable} into gpubox:gateway.env` : ""}.`,
    }));
}
