import type { ModelConfig } from "../engines";
import { type Problem, suggestion } from "../kit/problems";
import type { StackConfig } from "../stack/config";
import { hasContainer, instancesOf } from "../stack/instances";

/** Limits that contradict each other, or that no request could ever reach. */
export function checkLimits(config: StackConfig): Problem[] {
  return [
    ...Object.entries(config.models).flatMap(([name, entry]) =>
      instancesOf(name, entry).flatMap(({ path, model }) =>
        checkModel(config, model, `gpubox:models.${name}${path}`),
      ),
    ),
    ...checkGatewayBudget(config),
    ...checkProviderBudgets(config),
  ];
}

function checkModel({ gateway }: StackConfig, model: ModelConfig, path: string): Problem[] {
  const { rpm, tpm, maxParallel, budget } = model;
  const problems: Problem[] = [];
  if (rpm && tpm && tpm < rpm)
    problems.push({
      path: `${path}.tpm`,
      what: `${tpm} tokens a minute are fewer than its ${rpm} requests, and a request has at least one.`,
      fix: "Raise tpm, or lower rpm.",
    });
  const all = gateway.limits.maxParallel;
  if (maxParallel && all && maxParallel > all)
    problems.push({
      path: `${path}.maxParallel`,
      what: `The whole gateway takes ${all} requests at a time, so that ${maxParallel} are never reached.`,
      fix: `Write at most ${all}, or raise gpubox:gateway.limits.maxParallel.`,
    });
  if (maxParallel && gateway.replicas !== "auto" && maxParallel < gateway.replicas && !hasContainer(model))
    problems.push({
      path: `${path}.maxParallel`,
      what: `${gateway.replicas} gateways share it, and each must get at least one.`,
      fix: `Write at least ${gateway.replicas}, or gpubox:gateway.replicas: 1.`,
    });
  if (budget && costsNothing(model))
    problems.push({
      path: `${path}.budget`,
      what: "Its requests cost nothing, so that the budget is never spent.",
      fix: "Add a price: { inputPerMillion, outputPerMillion }, or remove the budget.",
    });
  return problems;
}

/** LiteLLM's price list knows providers' models only. */
function costsNothing(model: ModelConfig): boolean {
  if (model.price) return model.price.inputPerMillion === 0 && model.price.outputPerMillion === 0;
  return model.engine !== "cloud" && model.baseModel === undefined;
}

function checkGatewayBudget({ gateway, database }: StackConfig): Problem[] {
  if (!gateway.limits.budget || database.mode !== "none") return [];
  return [
    {
      path: "gpubox:gateway.limits.budget",
      what: "The spend of the whole gateway is counted in the database, and there is none.",
      fix: "Write gpubox:database mode: bundled, or use providerBudgets, which Redis counts.",
    },
  ];
}

function checkProviderBudgets({ gateway, models }: StackConfig): Problem[] {
  const servers = Object.entries(models).flatMap(([name, entry]) =>
    instancesOf(name, entry).map(({ model }) => model),
  );
  const providers = [...new Set(servers.flatMap(providerOf))];
  return Object.keys(gateway.limits.providerBudgets).flatMap((provider) => {
    const path = `gpubox:gateway.limits.providerBudgets.${provider}`;
    if (!providers.includes(provider))
      return [
        {
          path,
          what: `No model is of the provider "${provider}".`,
          fix: providers.length > 0 ? suggestion(provider, providers) : "Remove it.",
          judgedBy: { paths: ["gpubox:models"] },
        },
      ];
    if (servers.some((model) => providerOf(model).includes(provider) && !costsNothing(model))) return [];
    return [
      {
        path,
        what: `The requests to ${provider} cost nothing, so that the budget is never spent.`,
        fix: "Add a price to its models, or remove the budget.",
      },
    ];
  });
}

/** LiteLLM's provider prefix; undefined for servers that the box runs. */
function providerOf(model: ModelConfig): string[] {
  if (model.engine === "cloud") return (model.model ?? "").split("/", 1);
  return model.engine === "openai" ? [model.provider] : [];
}
