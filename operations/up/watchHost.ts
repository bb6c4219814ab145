import { setTimeout as sleep } from "node:timers/promises";
import type { BoxPlan } from "../../configs/kit/types";
import { lastLine } from "../../configs/kit/visible";
import { modelServers } from "../../configs/plan/box";
import { edgeGateways } from "../../platform/box/edge";
import { type DockerClient, dockerAt, labelFilters } from "../../platform/docker/client";
import type { Progress, Report } from "../../platform/progress";
import type { Secrets } from "../../platform/stack/secrets";
import { redactor } from "../logs/logLines";
import { awaited, downloadState } from "./hostWork";

/** Milliseconds between two looks at the host. */
const LOOK_MS = 2_000;

/** Milliseconds after which a look is given up. */
const ANSWER_MS = 10_000;

/** Lines of a container's log among which the last one with words is looked for. */
const TAIL = "10";

/**
 * Reports what a box's host works at while `work` changes the box: downloads of models, containers that are not healthy yet with
 * the last line of their logs, and requests that an old gateway still answers. Pulumi and Compose tell none of that; the engine
 * does, also over SSH. A look that fails reports nothing and disturbs nobody.
 */
export async function watchingHost<Result>(
  { plan, secrets, report }: { plan: BoxPlan; secrets: Secrets; report: Report | undefined },
  work: () => Promise<Result>,
): Promise<Result> {
  if (!report) return work();
  const over = new AbortController();
  const watching = watch(plan, redactor(Object.values(secrets)), report, over.signal);
  try {
    return await work();
  } finally {
    over.abort();
    await watching;
  }
}

async function watch(
  plan: BoxPlan,
  redact: (text: string) => string,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  let shown = new Set<string>();
  let most = 0;
  while (!signal.aborted) {
    const drain = await draining(plan);
    most = drain === 0 ? 0 : Math.max(most, drain);
    const seen = [...(await downloads(plan)), ...(await waiting(plan)), ...drainProgress(drain, most)];
    if (signal.aborted) break;
    for (const one of seen) report({ ...one, ...(one.detail ? { detail: redact(one.detail) } : {}) });
    const now = new Set(seen.map(({ what }) => what));
    for (const what of shown) if (!now.has(what)) report({ what, ended: true });
    shown = now;
    await sleep(LOOK_MS, undefined, { signal }).catch(() => {});
  }
  for (const what of shown) report({ what, ended: true });
}

async function list(docker: DockerClient, args: string[]): Promise<string[]> {
  const { code, stdout } = await docker.run(["ps", ...args], { timeoutMs: ANSWER_MS });
  return code === 0 ? stdout.split("\n").filter(Boolean) : [];
}

/** What a container has written, both streams; empty where the engine does not say. */
async function logOf(docker: DockerClient, container: string, tail: string): Promise<string> {
  const options = { timeoutMs: ANSWER_MS };
  const { code, stdout, stderr } = await docker.run(["logs", "--tail", tail, container], options);
  return code === 0 ? `${stdout}\n${stderr}` : "";
}

async function downloads({ docker: host }: BoxPlan): Promise<Progress[]> {
  const docker = dockerAt(host);
  const format = '{{.ID}}\t{{.Label "gpubox.weights"}}';
  const running = await list(docker, [...labelFilters(["gpubox.weights"]), "--format", format]);
  return Promise.all(
    running.map(async (line) => {
      const [id = "", repository = ""] = line.split("\t");
      return { what: `downloading ${repository}`, ...downloadState(await logOf(docker, id, "all")) };
    }),
  );
}

async function waiting(plan: BoxPlan): Promise<Progress[]> {
  const docker = dockerAt(plan.docker);
  const models = new Map(
    modelServers(plan).map(({ service, instance }) => [service.container.name, instance] as const),
  );
  const format = '{{.Names}}\t{{.Label "gpubox.role"}}\t{{.Status}}';
  const labels = labelFilters([`gpubox.stack=${plan.stack}`]);
  const all = awaited(await list(docker, ["--all", ...labels, "--format", format]), models);
  return Promise.all(
    all.map(async ({ container, name }) => {
      const detail = lastLine(await logOf(docker, container, TAIL));
      return { what: `waiting for ${name}`, ...(detail ? { detail } : {}) };
    }),
  );
}

/** Requests that old gateways still answer. The edge is only asked where there is an old gateway. */
async function draining(plan: BoxPlan): Promise<number> {
  const labels = labelFilters([`gpubox.stack=${plan.stack}`, "gpubox.role=gateway"]);
  const gateways = await list(dockerAt(plan.docker), [...labels, "--quiet"]);
  if (gateways.length <= plan.gateway.replicas) return 0;
  const states = (await edgeGateways(plan, ANSWER_MS)) ?? [];
  return states.reduce((sum, { state, requests }) => sum + (state === "draining" ? requests : 0), 0);
}

function drainProgress(left: number, most: number): Progress[] {
  if (left === 0) return [];
  return [{ what: "draining the previous gateway", done: most - left, total: most, unit: "requests" }];
}
