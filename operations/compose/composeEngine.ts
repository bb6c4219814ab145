import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ContainerPlan, ServicePlan } from "../../configs/kit/containerPlan";
import {
  directoryInput,
  makeWritable,
  removeDirectory,
  rootScript,
  writeDirectory,
} from "../../configs/kit/hostFiles";
import { PROVE, RELOAD, readyStep, SWITCH, standInSteps, valvesOf } from "../../configs/kit/steps";
import { renderText, type SecretValues } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import { fetchSteps, servicesOf } from "../../configs/plan/box";
import { CONFIG_DIR } from "../../configs/plan/haproxy/common";
import { valveName } from "../../configs/plan/valve";
import { dockerAt } from "../../platform/docker/client";
import { findCompose } from "../../platform/docker/engine";
import { openValves } from "../../platform/docker/valves";
import { type RunResult, run, UserError } from "../../platform/process";
import type { Log } from "../../platform/project";
import { closeAll, closeReplaced } from "./beforeStop";
import { composeContainerName, composeFile, projectLabels } from "./composeFile";
import { composeHost } from "./composeHost";

/** Path of the rendered file. Git ignores it, because it names images that this machine built. */
export function composePath(projectDir: string, stack: string): string {
  return join(projectDir, `docker-compose.${stack}.yaml`);
}

/** Writes a plan's Compose file and returns its path. */
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
  // From here on there are files on the host, by which `down` knows that it has something to remove.
  writeComposeFile(projectDir, plan);
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
  const downloads = fetchSteps(plan).map((one) => [one.name, one] as const);
  for (const { name, script, stdin } of new Map(downloads).values())
    await step(options, `model file ${name}`, script, {
      inherit: true,
      stdin: stdin && renderText(stdin, secrets),
    });
  await migrateFirst(options);
  for (const { instance, service, replacement } of plan.backends)
    if (replacement.kind === "start-first") {
      const env = standInSteps(plan.prefix, service).environment;
      const role = valveName(instance);
      const valve = `${plan.prefix}-${role}`;
      const labels = [`gpubox.stack=${plan.stack}`, `gpubox.role=${role}`];
      // One that runs may not know the stand-in yet: its files are new, and it has not read them.
      if ((await dockerAt(plan.docker).containerIds({ labels })).length > 0)
        await step(options, `${valve} reloaded`, RELOAD, { env: { GPUBOX_CONTAINER: valve } });
      await step(options, `${service.container.name} beside`, replacement.beside.script, {
        env,
        // Nobody waits half an hour for a canary without a word of it.
        inherit: service.standIn?.canarySeconds !== undefined,
        stdin: renderText(replacement.beside.stdin ?? [], secrets),
      });
    }
  const closed = await closeReplaced(plan, await composeOutput(options, ["config", "--hash", "*"]), log);
  log("  containers");
  const before = await mountedDirectories(plan);
  try {
    await compose(options, ["up", "-d", "--remove-orphans"]);
  } finally {
    // From here on they go by the health of what is there.
    await openValves(plan.docker, closed);
  }
  const planned = servicesOf(plan).map(({ directory }) => directory.path);
  await removeDirectories(options, without(before, planned));
  const monitors = plan.observability?.services ?? [];
  for (const service of servicesOf(plan))
    if (service !== plan.gateway && !monitors.includes(service)) await healthy(options, service);
  const gateway = about(plan, plan.gateway.container);
  await step(options, "gateway proven", PROVE, { env: { ...gateway.env, GPUBOX_IN_PLACE: "yes" } });
  await step(options, "gateway serving", SWITCH, { ...gateway, stdin: `${plan.gateway.description}\n` });
  await removeDirectories(options, without(await generationDirectories(plan), planned));
  const { access } = plan.gateway;
  if (access)
    await step(options, "teams and keys", access.script, {
      ...gateway,
      stdin: access.stdin && renderText(access.stdin, secrets),
    });
  // Monitors come last: one that does not start must not keep the gateway from serving.
  for (const monitor of monitors) await healthy(options, monitor);
  if (plan.observability?.change) await step(options, "time of the change", plan.observability.change.script);
  log(`  kept as ${composePath(projectDir, plan.stack)}`);
}

/** Backs up and migrates before a gateway of another image starts, as Pulumi does. */
async function migrateFirst(options: ComposeOptions & { secrets: SecretValues }): Promise<void> {
  const { plan, secrets } = options;
  const { before, container } = plan.gateway;
  if (before.length === 0) return;
  const name = composeContainerName(plan, container);
  const running = await dockerAt(plan.docker).run(["inspect", "--format", "{{.Config.Image}}", name]);
  if (running.stdout.trim() === container.image) return;
  // An external database needs only the network, which comes with the edge.
  const first = plan.database ?? plan.edge;
  await compose(options, ["up", "-d", first.container.name]);
  await healthy(options, first);
  for (const { name, script, stdin } of before)
    await step(options, name, script, { stdin: stdin && renderText(stdin, secrets) });
}

async function healthy(options: ComposeOptions, service: ServicePlan): Promise<void> {
  const { container } = service;
  const { env } = about(options.plan, container);
  await step(options, `${container.name} healthy`, readyStep(service), {
    env: { ...env, ...valvesOf(options.plan.prefix, service) },
  });
}

/** Whether Compose made the containers of this box. */
export async function isComposeBox(plan: BoxPlan): Promise<boolean> {
  return (await dockerAt(plan.docker).containerIds({ all: true, labels: projectLabels(plan) })).length > 0;
}

/**
 * Whether an `up` that failed early left files of this box, and no container by which {@link isComposeBox} would know it.
 * Only for a box that Pulumi does not know.
 */
export async function hasComposeFiles(projectDir: string, plan: BoxPlan): Promise<boolean> {
  if (!existsSync(composePath(projectDir, plan.stack))) return false;
  const image = plan.edge.container.image;
  if (!(await dockerAt(plan.docker).hasImages(image))) return false;
  return (await generationDirectories(plan)).length > 0;
}

/**
 * Removes the containers, the networks and the files with secrets, also those of earlier changes. Volumes and model files
 * stay.
 */
export async function composeDown(options: ComposeOptions): Promise<void> {
  const { plan } = options;
  const written = [
    ...servicesOf(plan).map(({ directory }) => directory.path),
    ...(await mountedDirectories(plan)),
    ...(await generationDirectories(plan)),
  ];
  await closeAll(plan, options.log);
  await compose(options, ["down", "--remove-orphans"]);
  await removeDirectories(options, written);
}

/** Directories of gateways on the host, also of earlier ones: each change makes one. */
async function generationDirectories(plan: BoxPlan): Promise<string[]> {
  const parent = dirname(plan.gateway.directory.path);
  const list = 'ls -d "$1"/*/ 2>/dev/null || true';
  const script = rootScript(plan.edge.container.image, plan.dataDir, list, [parent]);
  const paths = await dockerAt(plan.docker).scriptOutput(script);
  return paths.split("\n").flatMap((path) => (path === "" ? [] : [path.replace(/\/$/, "")]));
}

/** Directories of files that this box's containers mount, also of parts that the config no longer has. */
async function mountedDirectories(plan: BoxPlan): Promise<string[]> {
  const containers = await dockerAt(plan.docker).containers({ all: true, labels: projectLabels(plan) });
  return containers
    .flatMap(({ Mounts }) => Mounts.filter(({ Destination }) => Destination === CONFIG_DIR))
    .map(({ Source }) => Source);
}

function without(paths: string[], kept: string[]): string[] {
  return paths.filter((path) => !kept.includes(path));
}

/** Removes directories with their env files, except those that another container still mounts. */
async function removeDirectories(options: ComposeOptions, paths: string[]): Promise<void> {
  const { plan } = options;
  for (const path of new Set(paths))
    await step(options, `removed ${path}`, removeDirectory(plan.edge.container.image, plan.dataDir, path));
}

/** Refuses a box that Pulumi made: Compose would fail on its container names, or take over only some of them. */
async function refusePulumiBox(plan: BoxPlan): Promise<void> {
  const labels = [`gpubox.stack=${plan.stack}`];
  const all = await dockerAt(plan.docker).containerIds({ all: true, labels });
  if (all.length > 0 && !(await isComposeBox(plan)))
    throw new UserError(
      `The stack ${plan.stack} already runs here, brought up by Pulumi.`,
      `Run \`gpubox down --stack ${plan.stack}\` first, or leave out --engine compose.`,
    );
}

async function compose(options: ComposeOptions, args: string[]): Promise<void> {
  await runCompose(options, args, { inherit: true });
}

async function composeOutput(options: ComposeOptions, args: string[]): Promise<string> {
  return (await runCompose(options, args)).stdout;
}

async function runCompose(
  { projectDir, plan }: ComposeOptions,
  args: string[],
  { inherit }: { inherit?: boolean } = {},
): Promise<RunResult> {
  const found = await findCompose();
  if (!found)
    throw new UserError(
      "Neither `docker compose` nor `docker-compose` is installed.",
      "Install one: apt-get install docker-compose.",
    );
  const path = writeComposeFile(projectDir, plan);
  const result = await run(found.program, [...found.args, "-p", plan.prefix, "-f", path, ...args], {
    env: { DOCKER_HOST: composeHost(plan.docker, found.program, projectDir) },
    inherit,
  });
  if (result.code === 0) return result;
  const words = inherit ? "" : ` ${result.stderr.trim().split("\n").at(-1)}`;
  throw new UserError(
    `\`${found.program} ${[...found.args, ...args].join(" ")}\` failed with exit code ${result.code}.${words}`,
    "The lines above say why. Correct it and run `gpubox up` again.",
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
  const result = await dockerAt(plan.docker).script(script, { ...options, cwd: projectDir });
  if (result.code !== 0)
    throw new UserError(
      `The step "${name}" failed: ${result.stderr.trim() || `exit code ${result.code}`}`,
      "Correct it and run `gpubox up` again. What already runs keeps running.",
    );
  log(`  ${name}`);
}
