import type { BoxPlan } from "../../configs/kit/types";
import { dockerHostName } from "../../configs/network/engine";
import type { StackConfig } from "../../configs/stack/config";
import { isForMany } from "../../configs/stack/wildcards";
import { exportsFor, type PulumiEngine } from "../../platform/pulumi/engine";
import { tunnel } from "../../platform/ssh/tunnel";
import { portsOf } from "../preview/resources";

/** The last lines of `up`: where the box serves, and how to continue. */
export function farewell(plan: BoxPlan, engine: PulumiEngine | undefined, config: StackConfig): string[] {
  const { stack, endpoint, adminEndpoint } = plan;
  return [
    `\nThe box serves at ${endpoint} (admin and UI: ${adminEndpoint}).`,
    ...(engine ? ofPulumi(engine, stack) : []),
    ...ofMonitors(config, plan),
    ...ofTunnel(config, plan),
    ...(plan.models.length === 0 ? ["It declares no model yet: add one under gpubox:models."] : []),
    ...ofFirstRequest(plan, engine, config),
  ];
}

function ofPulumi(engine: PulumiEngine, stack: string): string[] {
  return [
    "From now on you can use plain Pulumi. In a shell in this folder:",
    ...exportsFor(engine).map((line) => `  ${line}`),
    `  pulumi preview --stack ${stack}`,
  ];
}

function ofTunnel(config: StackConfig, plan: BoxPlan): string[] {
  const way = tunnel(config, portsOf(plan));
  if (!way) return [];
  const host = dockerHostName(config.host.docker);
  return [
    `All these addresses are on ${host}. In this folder, while it runs, they answer here too:`,
    `  ${way}`,
  ];
}

function ofFirstRequest(plan: BoxPlan, engine: PulumiEngine | undefined, config: StackConfig): string[] {
  const { stack, endpoint } = plan;
  const model = plan.models.find((name) => {
    const entry = config.models[name];
    return entry?.mode === "chat" && entry.start !== "manual" && !isForMany(name);
  });
  if (!model) return [];
  const readKey = engine
    ? `$(pulumi config get gpubox:masterKey --stack ${stack})`
    : `$(node -p 'require("./.gpubox/secrets.${stack}.json").masterKey')`;
  const auth = config.gateway.auth === "key" ? ` -H "Authorization: Bearer ${readKey}"` : "";
  const body = `{"model": "${model}", "messages": [{"role": "user", "content": "ping"}]}`;
  return [
    "Try it:",
    `  curl -s ${endpoint}/v1/chat/completions${auth} -H 'Content-Type: application/json' -d '${body}'`,
  ];
}

/** Where a person finds metrics and dashboards. */
function ofMonitors({ observability }: StackConfig, plan: BoxPlan): string[] {
  const runs = (name: string) =>
    plan.observability?.services.some(({ container }) => container.name === name) ?? false;
  const lines = [];
  if (runs("prometheus")) lines.push(`Metrics and alerts: http://127.0.0.1:${observability.prometheusPort}`);
  if (runs("grafana"))
    lines.push(
      `Dashboards: http://127.0.0.1:${observability.port} (admin, \`pulumi config get gpubox:grafanaPassword\` shows the password)`,
    );
  return lines;
}
