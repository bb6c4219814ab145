import type { ModelConfig } from "../engines";
import type { Spanning } from "../engines/nodes";
import type { Problem } from "../kit/problems";
import type { GpuConfig } from "../schema/gpu";
import { type HostConfig, hostSchema } from "../schema/host";
import { joinsSchema } from "../schema/nodes";
import type { BoxFiles } from "./files";

/** Mistakes between an entry with `nodes` and the files of the hosts that it spans: each has to agree. */
export function checkWorkers(
  stack: string,
  host: HostConfig,
  models: Record<string, ModelConfig>,
  boxFiles: BoxFiles,
): Problem[] {
  return Object.entries(models).flatMap(([name, model]) => {
    const { nodes } = model as Spanning;
    return (nodes?.workers ?? []).flatMap((worker, index) => {
      const path = `gpubox:models.${name}.nodes.workers[${index}].stack`;
      return checkWorker(name, model as Spanning, { stack, host }, worker.stack, boxFiles).map((problem) => ({
        path,
        ...problem,
      }));
    });
  });
}

function checkWorker(
  name: string,
  { gpu }: Spanning,
  own: { stack: string; host: HostConfig },
  stack: string,
  boxFiles: BoxFiles,
): Omit<Problem, "path">[] {
  const file = boxFiles[stack];
  if (stack === own.stack)
    return [
      {
        what: "It is this stack itself, whose host is rank 0.",
        fix: "Name the stacks of the other hosts.",
      },
    ];
  if (!file) return [{ what: `Pulumi.${stack}.yaml was not read.`, fix: "Name another stack." }];
  if ("unreadable" in file) return [file.unreadable];
  const joins = joinsSchema.safeParse(file.values.joins ?? {});
  const host = hostSchema.safeParse(file.values.host ?? {});
  if (!joins.success || !host.success)
    return [
      {
        what: `Pulumi.${stack}.yaml has mistakes in ${joins.success ? "gpubox:host" : "gpubox:joins"}.`,
        fix: `\`gpubox preview --stack ${stack}\` lists them.`,
      },
    ];
  const join = joins.data[name];
  const wanted = `gpubox:joins: { ${name}: { stack: ${own.stack}${gpu ? `, gpu: { devices: [${gpu.devices.map((_, index) => index).join(", ")}] }` : ""} } }`;
  if (join?.stack !== own.stack)
    return [
      {
        what: join
          ? `Pulumi.${stack}.yaml joins ${name} of the stack ${join.stack}.`
          : `Pulumi.${stack}.yaml does not join ${name}, and nobody gives a device of that host away but its own file.`,
        fix: `Write there ${wanted}.`,
      },
    ];
  const problems: Omit<Problem, "path">[] = [];
  if (host.data.arch !== own.host.arch)
    problems.push({
      what: `That host is ${host.data.arch} and this one ${own.host.arch}: no image of the engine runs on both with the same kernels.`,
      fix: "Span hosts of one architecture, or serve the model on one of them.",
    });
  const here = gpu?.devices.length ?? 0;
  const there = join.gpu?.devices.length ?? 0;
  if (here !== there)
    problems.push({
      what: `That host gives it ${counted(there)}, and this one ${counted(here)}; every host has as many ranks.`,
      fix: `Name ${counted(here)} in gpubox:joins.${name}.gpu there, or ${counted(there)} here.`,
    });
  const [mine, theirs] = [vendorOf(own.host.gpus, gpu), vendorOf(host.data.gpus, join.gpu)];
  if (mine && theirs && mine !== theirs)
    problems.push({
      what: `Its devices there are ${theirs}'s and here ${mine}'s, and no engine's ranks talk across vendors.`,
      fix: "Span devices of one vendor.",
    });
  return problems;
}

function vendorOf(gpus: GpuConfig[], gpu: { devices: unknown[] } | undefined): string | undefined {
  return gpus.find(({ id }) => gpu?.devices.map(String).includes(String(id)))?.vendor;
}

function counted(devices: number): string {
  return devices === 1 ? "1 device" : `${devices === 0 ? "no" : devices} devices`;
}
