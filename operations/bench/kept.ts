import { INPUT_END, rootReader, rootScript } from "../../configs/kit/hostFiles";
import { hashOf } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import { modelServers } from "../../configs/plan/box";
import { modelSlug } from "../../configs/stack/instances";
import { dockerAt } from "../../platform/docker/client";
import { parseJson } from "../../platform/json";
import { type Kept, keptSchema } from "./results";

function folder({ dataDir }: BoxPlan): string {
  return `${dataDir}/bench`;
}

function fileOf(box: BoxPlan, model: string): string {
  return `${folder(box)}/${modelSlug(model)}.json`;
}

/**
 * What every model of a box showed so far. It lies on the host, so that each checkout and each person has it. A file that is not
 * readable counts as none.
 */
export async function readKept(box: BoxPlan): Promise<Kept[]> {
  const script = rootScript(image(box), box.dataDir, 'cat "$1"/*.json 2>/dev/null || :', [folder(box)]);
  const { stdout } = await dockerAt(box.docker).script(script);
  return stdout.split("\n").flatMap((line) => {
    const kept = keptSchema.safeParse(parseJson(line));
    return kept.success ? [kept.data] : [];
  });
}

const WRITE = 'umask 022; mkdir -p "$(dirname "$1")" && cat >"$1.new" && mv -f "$1.new" "$1"';

/** @throws UserError when the host does not take it */
export async function writeKept(box: BoxPlan, kept: Kept): Promise<void> {
  const script = rootReader(image(box), box.dataDir, WRITE, [fileOf(box, kept.model)]);
  await dockerAt(box.docker).scriptOutput(script, { stdin: `${JSON.stringify(kept)}\n${INPUT_END}` });
}

/**
 * The generation of the servers that run for each model: a hash of what their containers are made of, as the containers themselves
 * say. Absent for a model that has none.
 */
export async function runningGenerations(box: BoxPlan): Promise<Record<string, string>> {
  const running = await dockerAt(box.docker).containers({ labels: [`gpubox.stack=${box.stack}`] });
  const specs = new Map(running.map(({ Name, Config }) => [Name, Config.Labels["gpubox.spec"]]));
  const servers = modelServers(box).flatMap(({ model, service }) => {
    const spec = specs.get(`${box.prefix}-${service.container.name}`);
    return spec ? [{ model, spec }] : [];
  });
  const models = [...new Set(servers.map(({ model }) => model))];
  return Object.fromEntries(models.map((model) => [model, generationOf(servers, model)]));
}

function generationOf(servers: { model: string; spec: string }[], model: string): string {
  const own = servers.filter((one) => one.model === model).map(({ spec }) => spec);
  return own.length === 1 ? own[0]! : hashOf(own.sort());
}

function image({ edge }: BoxPlan): string {
  return edge.container.image;
}
