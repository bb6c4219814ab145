import { generatedKeys } from "../configs/accessSecrets";
import { engineAddress, hostName } from "../configs/host/address";
import { type Owner, ownerOf } from "../configs/host/owner";
import { tunnel } from "../configs/host/tunnel";
import { servicesOf } from "../configs/plan/box";
import { COMPOSE_LOSES } from "../configs/plan/compose";
import type { BoxPlan } from "../configs/plan/types";
import { policyWords } from "../configs/policy/judge";
import { publishedPorts } from "../configs/ports";
import { portsOf } from "../configs/preview/belongings";
import { modelsOfBox } from "../configs/profiles";
import { requiredSecrets } from "../configs/requiredSecrets";
import { generatedSecrets, type StackConfig } from "../configs/schema/stack";
import { saltFingerprint } from "../configs/secretFacts";
import { composeUp } from "../runner/composeEngine";
import { ensureDocker } from "../runner/dockerEngine";
import { repairDrift } from "../runner/drift/repair";
import { checkJoined } from "../runner/host/joined";
import { checkPlace, engineIdOf } from "../runner/host/owner";
import { checkMachine } from "../runner/machine";
import { checkStackFile, planStack, readStack } from "../runner/planStack";
import { output, UserError } from "../runner/process";
import { defaultProjectDir, ensureStackConfig } from "../runner/project";
import { restoreCheckpoint } from "../runner/pulumiCheckpoint";
import { ensurePulumi, exportsFor, type PulumiEngine, pulumi, selectStack } from "../runner/pulumiEngine";
import { clearDeadLock, removeOrphans, resolvePending } from "../runner/pulumiState";
import { resolve } from "../runner/resolve";
import { ensureSecrets, findSecretStore, readSecrets, type Secrets } from "../runner/secrets";
import { smokeStack } from "../runner/smokeStack";
import { connectHost } from "../runner/ssh/connection";
import { rememberedHost, rememberHost, rememberSalt } from "../runner/stackConfig";
import { say, stackOption, verb } from "./verb";

const projectDir = defaultProjectDir;

interface Options {
  stack: string;
  /** Ask nothing. */
  yes: boolean;
  engine: string;
}

const about = {
  name: "up",
  does: "Brings a box up, from a bare machine to answers on both protocols. Again: converges to the stack config.",
  options: {
    stack: stackOption,
    yes: {
      type: "boolean",
      short: "y",
      default: false,
      help: "ask nothing, for example before Docker is installed",
    },
    "take-over": {
      type: "boolean",
      default: false,
      help: "make the host this stack's, although it was another's or the box was elsewhere",
    },
    engine: { type: "string", default: "pulumi", value: "pulumi|compose", help: "default: pulumi" },
  },
} as const;

verb(about, async ({ values: options }) => {
  if (!["pulumi", "compose"].includes(options.engine))
    throw new UserError(
      `There is no engine "${options.engine}".`,
      "Use --engine pulumi or --engine compose.",
    );
  const { stack } = options;
  ensureStackConfig(projectDir, stack);
  const early = checkStackFile(projectDir, stack);

  say(`gpubox: bringing up the stack ${stack}`);
  connectHost(projectDir, early);
  const engine = await machine(early, options);
  const store = engine ? { projectDir, stack, engine } : await findSecretStore(projectDir, stack);

  if (engine) {
    restoreCheckpoint({ engine, stack, log: say });
    await selectStack(engine, stack);
    await clearDeadLock({ engine, stack, log: say });
  }
  await ensureSecrets({ ...store, names: neededSecrets(early), log: say });
  const secrets = await readSecrets(store);
  if (secrets.saltKey) rememberSalt(projectDir, stack, secrets.saltKey);
  const config = readStack(projectDir, stack, secrets);
  if (!options["take-over"]) checkPlace(config, ownerIn(config, secrets), rememberedHost(projectDir, stack));
  checkJoined(config);

  say("\nimages and models");
  const resolved = await resolve({ projectDir, stack, config, log: say });
  const plan = planStack(projectDir, stack, secrets, resolved);
  for (const note of [...plan.notes, ...policyWords(plan.policy)]) say(`  note: ${note}`);
  await own(plan, config);

  if (engine) await convergeWithPulumi(engine, plan, secrets);
  else {
    say("\ncontainers, by Compose");
    for (const loss of COMPOSE_LOSES) say(`  note: ${loss}`);
    await composeUp({ projectDir, plan, secrets, log: say });
  }

  say("\nsmoke");
  const checks = await smokeStack(config, secrets, say);
  farewell(plan, engine, config);
  const { endpoint, adminEndpoint, models, notes } = plan;
  return { stack, endpoint, adminEndpoint, engine: engine ? "pulumi" : "compose", models, notes, checks };
});

function ownerIn({ stack }: StackConfig, { saltKey }: Secrets): Owner | undefined {
  return ownerOf(stack, saltFingerprint(saltKey ?? ""));
}

/** From here on the host is this stack's, also for plain Pulumi and for another checkout. */
async function own({ owner, docker, stack }: BoxPlan, config: StackConfig): Promise<void> {
  if (owner) await output("sh", ["-c", owner.script], { env: { DOCKER_HOST: docker } });
  const id = engineIdOf(config, rememberedHost(projectDir, stack));
  if (id) rememberHost(projectDir, stack, id);
}

/** Step 1 and 2: what the machine has, a Docker engine, and a Pulumi engine where one can be had. */
async function machine(config: StackConfig, options: Options): Promise<PulumiEngine | undefined> {
  const byCompose = options.engine === "compose";
  const docker = await ensureDocker({
    host: engineAddress(config),
    projectDir,
    yes: options.yes,
    interactive: process.stdin.isTTY === true,
    compose: byCompose,
    log: say,
  });
  const found = byCompose ? undefined : await ensurePulumi({ projectDir, log: say });
  await checkMachine({
    stack: options.stack,
    docker: engineAddress(config),
    engine: docker,
    pulumi: byCompose ? "compose" : found?.engine,
    dataDir: config.host.dataDir,
    ports: publishedPorts({ ...config, models: modelsOfBox(config) }),
    log: say,
  });
  if (found && !found.engine) {
    say(`  note: no Pulumi engine can be had: ${found.reason} The same plan is converged through Compose.`);
    await ensureDocker({
      host: engineAddress(config),
      projectDir,
      yes: options.yes,
      interactive: process.stdin.isTTY === true,
      compose: true,
      log: say,
    });
  }
  return found?.engine;
}

/** Names of the secrets that this config needs and that `up` makes itself. */
function neededSecrets(config: StackConfig): string[] {
  const required = new Set(requiredSecrets(config).map(({ name }) => name));
  return [...generatedSecrets.filter((name) => required.has(name)), ...generatedKeys(config.access)];
}

async function convergeWithPulumi(engine: PulumiEngine, plan: BoxPlan, secrets: Secrets): Promise<void> {
  const state = { engine, stack: plan.stack, log: say };
  await resolvePending(state);
  await removeOrphans({ ...state, docker: plan.docker, prefix: plan.prefix });
  const anew = await repairDrift({ ...state, box: plan, secrets });
  say(`\ncontainers, by Pulumi ${engine.version} (${servicesOf(plan).length} containers)`);
  const result = await pulumi(
    engine,
    ["up", "--yes", "--skip-preview", "--refresh", "--stack", plan.stack, ...anew],
    {
      inherit: true,
    },
  );
  if (result.code !== 0)
    throw new UserError(
      "`pulumi up` did not finish; what served before goes on serving.",
      "The lines above say why; correct it and run `npm run up` again.",
    );
}

function farewell(plan: BoxPlan, engine: PulumiEngine | undefined, config: StackConfig): void {
  const { stack } = plan;
  const readKey = engine
    ? `$(pulumi config get gpubox:masterKey --stack ${stack})`
    : `$(node -p 'require("./.gpubox/secrets.${stack}.json").masterKey')`;
  const auth = config.gateway.auth === "key" ? ` -H "Authorization: Bearer ${readKey}"` : "";
  say(`\nThe box serves at ${plan.endpoint} (admin and UI: ${plan.adminEndpoint}).`);
  if (engine) {
    say("From now on it is plain Pulumi. In a shell of your own, in this folder:");
    for (const line of exportsFor(engine)) say(`  ${line}`);
    say(`  pulumi preview --stack ${stack}`);
  }
  sayMonitors(config, plan);
  const way = tunnel(config, portsOf(plan));
  if (way) {
    say(
      `All these addresses are on ${hostName(config.host.docker)}. In this folder, while it runs, they answer here too:`,
    );
    say(`  ${way}`);
  }
  if (plan.models.length === 0) say("It declares no model yet: add one under gpubox:models.");
  const model = plan.models.find((name) => {
    const entry = config.models[name];
    return entry?.mode === "chat" && entry.start !== "manual";
  });
  if (!model) return;
  say("Try it:");
  say(
    `  curl -s ${plan.endpoint}/v1/chat/completions${auth} -H 'Content-Type: application/json' -d '{"model": "${model}", "messages": [{"role": "user", "content": "ping"}]}'`,
  );
}

/** Where a person looks at metrics, dashboards and traces. */
function sayMonitors({ observability }: StackConfig, plan: BoxPlan): void {
  const runs = (name: string) =>
    plan.observability?.services.some(({ container }) => container.name === name) ?? false;
  if (runs("prometheus")) say(`Metrics and alerts: http://127.0.0.1:${observability.prometheusPort}`);
  if (runs("grafana"))
    say(
      `Dashboards: http://127.0.0.1:${observability.port} (admin, \`pulumi config get gpubox:grafanaPassword\` shows the password)`,
    );
  if (observability.langfuse?.mode === "bundled")
    say(
      `Traces: http://127.0.0.1:${observability.langfuse.port} (${observability.langfuse.email}, \`pulumi config get gpubox:langfusePassword\` shows the password)`,
    );
}
