import { type ExpertOffload, expertBytes, layerExperts } from "../models/experts";
import type { LockedModel } from "../models/facts";

/** The experts of a GGUF whose settings keep some of them in the host's memory. */
export interface ExpertSplit {
  /** On each of its devices, in the order of the devices. */
  deviceBytes: number[];
  /** Of layers that are on devices. */
  hostBytes: number;
  /** The largest tensor that stays on the host: llama.cpp copies one at a time to the device for a long prompt. */
  copyBytes: number;
  /** Of all layers. */
  allBytes: number;
  /** Layers on devices of which any expert stays on the host. */
  layers: number;
}

/**
 * Divides the experts as llama.cpp does: the last layers and the output are on devices, in as many parts as there are devices, and of
 * these layers a setting keeps experts on the host.
 *
 * @param offloaded layers on devices; one more than the model has where the output is there too
 */
export function splitExperts(
  locked: LockedModel,
  offload: ExpertOffload,
  offloaded: number,
  devices: number,
  tensorSplit?: number[],
): ExpertSplit {
  const { layers } = locked.shape;
  const split: ExpertSplit = {
    deviceBytes: Array.from({ length: devices }, () => 0),
    ...{ hostBytes: 0, copyBytes: 0, layers: 0 },
    allBytes: expertBytes(locked),
  };
  const first = Math.max(0, layers + 1 - offloaded);
  for (let layer = first; layer < layers; layer++) {
    const experts = layerExperts(locked, layer, offload);
    const device = deviceOfLayer(layer - first, offloaded, devices, tensorSplit);
    for (const { bytes, onHost } of experts)
      if (onHost) {
        split.hostBytes += bytes;
        split.copyBytes = Math.max(split.copyBytes, bytes);
      } else split.deviceBytes[device]! += bytes;
    if (experts.some(({ onHost }) => onHost)) split.layers += 1;
  }
  return split;
}

/**
 * The device of a layer, as llama.cpp finds it (`get_layer_buft_list` of src/llama-model.cpp).
 *
 * @param place of the layer among those on devices, the output last
 * @param parts of the devices. Default: equal ones
 */
export function deviceOfLayer(place: number, offloaded: number, devices: number, parts?: number[]): number {
  if (!parts) return Math.floor((place * devices) / offloaded);
  const whole = parts.reduce((sum, part) => sum + part, 0);
  let before = 0;
  const found = parts.findIndex((part) => {
    before += part;
    return place / offloaded < before / whole;
  });
  return found < 0 ? devices - 1 : found;
}
