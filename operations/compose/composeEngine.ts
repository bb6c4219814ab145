import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { directoryInput, makeWritable, removeDirectory, writeDirectory } from "../../configs/kit/hostFiles";
import { PROVE, readyStep, SWITCH } from "../../configs/kit/steps";
import { renderText, type SecretValues } from "../../configs/kit/text";
import type { BoxPlan, ContainerPlan, ServicePlan } from "../../configs/kit/types";
import { modelServers, servicesOf } from "../../configs/plan/box";
import { findCompose } from "../../platform/docker/engine";
import { output, run, UserError } from "../../platform/process";
import type { Log } from "../../platform/project";
import { composeContainerName, composeFile } from "./composeFile";

/** Path of the rendered file; git ignores it, because it names images that this machine built. */
export function composePath(projectDir: string, stack: string): string {
  return join(projectDir, `docker-compose.${stack}.yaml`);
}

/** Writes the Compose file of a plan. Returns its path. */
export function writeComposeFile(projectDir: string, plan: BoxPlan): string {
  const path = composePath(projectDir, plan.stack);
  const text = composeFile(plan);
  if (!existsSync(path) || readFileSync(path, "utf8") !== text) writeFileSync(path, text);
  return path;
}

export interface ComposeOptions {
  projectDir: string;
  plan: BoxPlan;
  log: Log;
}

/** Brings a plan up through Compose: files first, then containers, then the proof of the gateway. */
export async function composeUp(options: ComposeOptions & { secrets: SecretValues }): Promise<void> {
  const { plan, log, secrets, projectDir } = options;
  await refusePulumiBox(plan);
  const image = plan.edge.container.image;
  await step(options, "space on the disks", plan.space.script, {
    stdin: renderText(plan.space.stdin ?? [], {}),
  });
  for (const { directory, writable } of servicesOf(plan)) {
    for (const one of writable)
      await step(options, `directory ${one.path}`, makeWritable(image, plan.dataDir, one));
    await step(options, `files ${directory.path}`, writeDirectory(image, plan.dataDir, directory), {
      stdin: directoryInput(directory, secrets),
    });
  }
  if (plan.deviceLocks) await step(options, "device locks", plan.deviceLocks.script);
  const downloads = modelServers(plan)
    .flatMap(({ weights }) => weights)
    .map((one) => [one.name, one] as const);
  for (const { name, script, stdin } of new Map(downloads).values())
    await step(options, `model file ${name}`, script, {
      inherit: true,
      stdin: stdin && renderText(stdin, secrets),
    });
  await migrateFirst(options);
  log("  containers");
  await compose(options, ["up", "-d", "--remove-orphans"]);
  const monitors = plan.observability?.services ?? [];
  for (const service of servicesOf(plan))
    if (service !== plan.gateway && !monitors.includes(service)) await healthy(options, service);
  const gateway = about(plan, plan.gateway.container);
  await step(options, "gateway proven", PROVE, gateway);
  await step(options, "gateway serving", SWITCH, { ...gateway, stdin: plan.gateway.description });
  const { access } = plan.gateway;
  if (access)
    await step(options, "teams and keys", access.script, {
      ...gateway,
      stdin: access.stdin && renderText(access.stdin, secrets),
    });
  // A monitor that does not come up keeps nobody from being served.
  for (const monitor of monitors) await healthy(options, monitor);
  if (plan.observability?.change) await step(options, "time of the change", plan.observability.change.script);
  log(`  kept as ${composePath(projectDir, plan.stack)}`);
}

/** Backup and migration before a gateway of another image starts, as under Pulumi. */
async function migrateFirst(options: ComposeOptions & { secrets: SecretValues }): Promise<void> {
  const { plan, secrets } = options;
  const { before, container } = plan.gateway;
  if (before.length === 0) return;
  const name = composeContainerName(plan, container);
  const running = await run("docker", ["-H", plan.docker, "inspect", "--format", "{{.Config.Image}}", name]);
  if (running.stdout.trim() === container.image) return;
  // Of an external database only the network is needed, which comes with the edge.
  const first = plan.database ?? plan.edge;
  await compose(options, ["up", "-d", first.container.name]);
  await healthy(options, first);
  for (const { name, script, stdin } of before)
    await step(options, name, script, { stdin: stdin && renderText(stdin, secrets) });
}

async function healthy(options: ComposeOptions, service: ServicePlan): Promise<void> {
  const { container } = service;
  await step(options, `${container.name} healthy`, readyStep(service), about(options.plan, container));
}

/** Whether containers of this box were made by Compose. */
export async function isComposeBox(plan: BoxPlan): Promise<boolean> {
  return (await containerIds(plan, `label=com.docker.compose.project=${plan.prefix}`)).length > 0;
}

/** Takes the containers, the networks and the files with secrets away again; volumes and model files stay. */
export async function composeDown(options: ComposeOptions): Promise<void> {
  const { plan } = options;
  await compose(options, ["down", "--remove-orphans"]);
  for (const { directory } of servicesOf(plan))
    await step(
      options,
      `removed ${directory.path}`,
      removeDirectory(plan.edge.container.image, plan.dataDir, directory.path),
    );
}

/** A box that Pulumi made is Pulumi's: Compose would fail on the names of its containers, or take them over half. */
async function refusePulumiBox(plan: BoxPlan): Promise<void> {
  const all = await containerIds(plan, `label=gpubox.stack=${plan.stack}`);
  if (all.length > 0 && !(await isComposeBox(plan)))
    throw new UserError(
      `The stack ${plan.stack} runs here already, brought up by Pulumi.`,
      `Run \`gpubox down --stack ${plan.stack}\` first, or leave --engine compose out.`,
    );
}

async function containerIds(plan: BoxPlan, filter: string): Promise<string[]> {
  const list = await output("docker", ["-H", plan.docker, "ps", "-aq", "--filter", filter]);
  return list.split("\n").filter(Boolean);
}

async function compose({ projectDir, plan }: ComposeOptions, args: string[]): Promise<void> {
  const found = await findCompose();
  if (!found)
    throw new UserError(
      "Neither `docker compose` nor `docker-compose` is installed.",
      "Install one: apt-get install docker-compose.",
    );
  const path = writeComposeFile(projectDir, plan);
  const result = await run(found.program, [...found.args, "-p", plan.prefix, "-f", path, ...args], {
    env: { DOCKER_HOST: plan.docker },
    inherit: true,
  });
  if (result.code !== 0)
    throw new UserError(
      `\`${found.program} ${[...found.args, ...args].join(" ")}\` failed with exit code ${result.code}.`,
      "The lines above say why; correct it and run `gpubox up` again.",
    );
}

function about(plan: BoxPlan, container: ContainerPlan) {
  return {
    env: {
      GPUBOX_CONTAINER: composeContainerName(plan, container),
      GPUBOX_EDGE: composeContainerName(plan, plan.edge.container),
      GPUBOX_GATEWAYS: composeContainerName(plan, container),
      GPUBOX_NAME: container.name,
      GPUBOX_SECONDS: String(container.readySeconds),
    },
  };
}

async function step(
  { plan, projectDir, log }: ComposeOptions,
  name: string,
  script: string,
  options: { stdin?: string; env?: Record<string, string>; inherit?: boolean } = {},
): Promise<void> {
  const result = await run("sh", ["-c", script], {
    ...options,
    cwd: projectDir,
    env: { DOCKER_HOST: plan.docker, ...options.env },
  });
  if (result.code !== 0)
    throw new UserError(
      `The step "${name}" failed: ${result.stderr.trim() || `exit code ${result.code}`}`,
      "Correct it and run `gpubox up` again; what runs goes on.",
    );
  log(`  ${name}`);
}
