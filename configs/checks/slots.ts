import type { ModelConfig } from "../engines";
import { acceleratorOf } from "../engines/devices";
import { ownImageOf } from "../kit/imageRoles";
import type { Problem } from "../kit/problems";
import type { HostConfig } from "../schema/host";
import type { StackConfig } from "../stack/config";
import { groupOf, slotOf } from "../stack/instances";

/** Mistakes in the models that are loaded on demand. */
export function checkSlots({ host, models }: StackConfig): Problem[] {
  const entries = Object.entries(models);
  return [
    ...entries.flatMap(([name, model]) => checkEntry(name, model, host)),
    ...entries.flatMap(([name, model]) => [
      ...checkDevices(name, model, entries),
      ...checkImage(name, model, entries),
    ]),
  ];
}

function checkEntry(name: string, model: ModelConfig, host: HostConfig): Problem[] {
  const path = `gpubox:models.${name}`;
  if (groupOf(name, model) !== undefined) return [];
  if (model.start !== "ondemand")
    return ["slot", "idleSeconds"]
      .filter((key) => (model as Record<string, unknown>)[key] !== undefined)
      .map((key) => ({
        path: `${path}.${key}`,
        what: `It means nothing with start: ${model.start}.`,
        fix: "Write start: ondemand, or remove it.",
      }));
  const problems: Problem[] = [];
  if (model.instances)
    problems.push({
      path: `${path}.instances`,
      what: "A model that is loaded on demand has one server.",
      fix: "Remove it, or write start: auto.",
    });
  if ("expose" in model && model.expose)
    problems.push({
      path: `${path}.expose`,
      what: "Anybody with its key could also load the other models of its slot.",
      fix: "Remove it and ask the model at the gateway, or write start: auto or manual.",
    });
  const gpu = "gpu" in model ? model.gpu : undefined;
  if (host.arch === "arm64" && acceleratorOf(gpu, host).kind !== "cpu")
    problems.push({
      path: `${path}.start`,
      what: "llama-swap has no image for GPUs on arm64.",
      fix: "Write start: manual, and switch with `gpubox model stop` and `start`; or leave `gpu` out.",
    });
  return [...problems, ...checkMacros(model, path)];
}

/** llama-swap expands macros in its configuration and has no escape for them. */
function checkMacros(model: ModelConfig, path: string): Problem[] {
  const {
    extraArgs = [],
    env = {},
    chatTemplate = "",
  } = model as { extraArgs?: string[]; env?: Record<string, string>; chatTemplate?: string };
  const values: [string, string][] = [
    ["chatTemplate", chatTemplate],
    ...extraArgs.map((value, index): [string, string] => [`extraArgs[${index}]`, value]),
    ...Object.entries(env).map(([name, value]): [string, string] => [`env.${name}`, value]),
  ];
  return values
    .filter(([, value]) => /\$\{|[\r\n]/.test(value))
    .map(([key]) => ({
      path: `${path}.${key}`,
      what: "llama-swap would replace what stands in $ and braces, and a line break would end its command.",
      fix: "Write it without both, or write start: auto or manual.",
    }));
}

/** A slot is one container, which has one set of devices. */
function checkDevices(name: string, model: ModelConfig, entries: [string, ModelConfig][]): Problem[] {
  const slot = slotOf(name, model);
  if (slot === undefined) return [];
  const [firstName, first] = entries.find(([other, entry]) => slotOf(other, entry) === slot)!;
  const [own, others] = [devicesOf(model), devicesOf(first)];
  if (own === others) return [];
  return [
    {
      path: `gpubox:models.${name}.${own === "" ? "slot" : "gpu.devices"}`,
      what: `The slot ${slot} runs on ${place(others)} for ${firstName}, and on ${place(own)} for ${name}.`,
      fix: "Give all models of a slot the same gpu.devices, or one of them another slot.",
    },
  ];
}

/** And one image. */
function checkImage(name: string, model: ModelConfig, entries: [string, ModelConfig][]): Problem[] {
  const slot = slotOf(name, model);
  if (slot === undefined) return [];
  const [firstName, first] = entries.find(([other, entry]) => slotOf(other, entry) === slot)!;
  const image = (entry: ModelConfig) =>
    "image" in entry && entry.image ? ownImageOf(entry.image) : "the pinned image";
  const [own, others] = [image(model), image(first)];
  if (own === others) return [];
  return [
    {
      path: `gpubox:models.${name}.image`,
      what: `The slot ${slot} runs ${others} for ${firstName}, and ${own} for ${name}.`,
      fix: "Give all models of a slot the same image, or one of them another slot.",
    },
  ];
}

function devicesOf(model: ModelConfig): string {
  const gpu = "gpu" in model ? model.gpu : undefined;
  return [...(gpu?.devices ?? [])].map(String).sort().join(", ");
}

function place(devices: string): string {
  if (devices === "") return "the CPU";
  return devices.includes(",") ? `the devices ${devices}` : `the device ${devices}`;
}
