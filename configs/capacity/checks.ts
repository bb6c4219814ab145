import type { Problem } from "../kit/problems";
import type { DeviceId, GpuConfig } from "../schema/gpu";
import { backendOf, CONTEXT_SETTING, contextTokens, type GpuDemand, parallelOf } from "./demand";
import { deviceName, isSlice } from "./device";
import { splitOf } from "./split";

/** Mistakes in demands that need no calculation of memory: devices, splits, contexts and formats. */
export function demandProblems(gpus: GpuConfig[], demands: GpuDemand[]): Problem[] {
  return [
    ...demands.flatMap((demand) => [
      ...undeclared(demand, gpus),
      ...repeatedDevices(demand),
      ...badSplit(demand),
      ...contextTooLong(demand),
      ...unreadableFormat(demand),
    ]),
    ...sameModelOnDevice(demands),
  ];
}

function undeclared({ path, devices }: GpuDemand, gpus: GpuConfig[]): Problem[] {
  const known = gpus.map(({ id }) => id);
  return devices
    .filter((device) => !known.includes(device))
    .map((device) => ({
      path: `${path}.gpu.devices`,
      what: `The host declares no ${deviceName(device)}.`,
      fix:
        known.length > 0
          ? `Use one of ${known.join(", ")}, or declare it in gpubox:host.gpus.`
          : "Declare the host's GPUs in gpubox:host.gpus.",
    }));
}

function repeatedDevices({ path, devices }: GpuDemand): Problem[] {
  return repeated(devices).map((device) => ({
    path: `${path}.gpu.devices`,
    what: `It names ${deviceName(device)} twice.`,
    fix: "Name each device once.",
  }));
}

function badSplit(demand: GpuDemand): Problem[] {
  const { engine, devices, hosts = 1, locked, path } = demand;
  const setting = engine.engine === "tensorrt-llm" ? "tpSize" : "tensorParallelSize";
  const problem = (what: string, fix: string) => [{ path: `${path}.${setting}`, what, fix }];
  const { tensor, pipeline, data, groups, attention: ranks } = splitOf(demand);
  if (devices.length > 1 && devices.some(isSlice))
    return problem("A model cannot be split over MIG slices.", "Give it one slice, or whole devices.");
  if (["llamacpp", "ollama", "encoder", "declared"].includes(engine.engine)) return [];
  const all = devices.length * hosts;
  if (tensor * pipeline * data !== all)
    return problem(
      `${tensor} × ${pipeline}${data > 1 ? ` × ${data}` : ""} ranks do not match its ${all} devices.`,
      `Make ${setting}${engine.engine === "vllm" ? " × pipelineParallelSize" : ""}${data > 1 ? " × dataParallelSize" : ""} the number of gpu.devices.`,
    );
  if (tensor % groups !== 0)
    return [
      {
        path: `${path}.attnDpSize`,
        what: `${groups} groups for attention do not divide its ${tensor} tensor ranks.`,
        fix: `Use one of ${divisors(tensor).join(", ")}.`,
      },
    ];
  const { attentionHeads, attention, layers } = locked.shape;
  if (attentionHeads % ranks !== 0)
    return problem(
      `${ranks} does not divide its ${attentionHeads} attention heads.`,
      `Use one of ${divisors(attentionHeads).join(", ")}.`,
    );
  const uneven = attention.find(
    ({ kind, kvHeads }) =>
      kind !== "mla" && kind !== "recurrent" && kvHeads % ranks !== 0 && ranks % kvHeads !== 0,
  );
  if (uneven)
    return problem(
      `${ranks} ranks cannot share ${uneven.kvHeads} key/value heads evenly.`,
      `Use a divisor or a multiple of ${uneven.kvHeads}.`,
    );
  if (pipeline > layers)
    return problem(`${pipeline} stages are more than its ${layers} layers.`, "Use fewer stages.");
  return [];
}

function contextTooLong(demand: GpuDemand): Problem[] {
  const { engine, locked, path, longestContext: trained = locked.shape.contextLength } = demand;
  if (engine.engine === "encoder" || engine.engine === "declared" || trained === 0) return [];
  // llama.cpp divides its context among its parallel requests; a shared pool may be longer than any one request.
  const parallel = parallelOf(demand)?.value ?? 1;
  const tokens =
    engine.engine === "llamacpp" ? Math.floor(contextTokens(demand) / parallel) : contextTokens(demand);
  const setting = CONTEXT_SETTING[engine.engine];
  if (tokens <= trained) return [];
  const most = engine.engine === "llamacpp" ? trained * parallel : trained;
  return [
    {
      path: `${path}.${setting}`,
      what: `${tokens} tokens a request are more than the ${trained} that the model was trained for.`,
      fix: `Write at most ${most}.`,
    },
  ];
}

function unreadableFormat({ engine, locked, path }: GpuDemand): Problem[] {
  if (engine.engine === "declared") return [];
  const wantsGguf = engine.engine === "llamacpp" || engine.engine === "ollama";
  const isGguf = locked.format === "gguf";
  if (wantsGguf === isGguf || (engine.engine === "sglang" && isGguf)) return [];
  return [
    {
      path: `${path}.model`,
      what: `${(engine.engine === "encoder" && engine.name) || engine.engine} cannot read ${isGguf ? "a GGUF" : "safetensors"}.`,
      fix: isGguf
        ? "Name a repository of safetensors, or use engine: llamacpp."
        : "Name a GGUF file of the model, or use engine: vllm.",
    },
  ];
}

/** Two backends of one model on one device gain nothing and pay for the weights twice. */
function sameModelOnDevice(demands: GpuDemand[]): Problem[] {
  return demands.flatMap((demand, index) =>
    demand.devices
      .filter((device) =>
        demands
          .slice(0, index)
          .some((other) => other.model === demand.model && other.devices.includes(device)),
      )
      .map((device) => ({
        path: `${demand.path}.gpu.devices`,
        what: `${backendOf(demand)} claims ${deviceName(device)}, which another instance of ${demand.model} has.`,
        fix: "Give each instance devices of its own.",
      })),
  );
}

function divisors(value: number): number[] {
  return [1, 2, 4, 8, 16, 32].filter((divisor) => value % divisor === 0);
}

function repeated(devices: DeviceId[]): DeviceId[] {
  return [...new Set(devices.filter((device, index) => devices.indexOf(device) !== index))];
}
