import { expertsOf, expertTensorsOf } from "../../../configs/models/experts";
import { modelLockSchema } from "../../../configs/models/lock";
import { locked } from "../../support/engines";

test("experts of a GGUF are locked by tensor, layers with as many bytes together, their biases among them", () => {
  const layer = (index: number, down: number) => [
    { name: `blk.${index}.ffn_up_exps.weight`, bytes: 100 },
    { name: `blk.${index}.ffn_up_exps.bias`, bytes: 10 },
    { name: `blk.${index}.ffn_down_exps.weight`, bytes: down },
    { name: `blk.${index}.ffn_gate_inp.weight`, bytes: 1 },
    { name: `blk.${index}.ffn_up_shexp.weight`, bytes: 1 },
  ];
  const tensors = [
    ...[
      { name: "token_embd.weight", bytes: 5 },
      { name: "blk.0.ffn_up.weight", bytes: 5 },
    ],
    ...[...layer(1, 70), ...layer(2, 90), ...layer(3, 90), ...layer(5, 90)],
  ];
  expect(expertTensorsOf(tensors)).toEqual([
    { tensor: "ffn_down_exps", first: 1, layers: 1, bytes: 70 },
    { tensor: "ffn_down_exps", first: 2, layers: 2, bytes: 90 },
    { tensor: "ffn_down_exps", first: 5, layers: 1, bytes: 90 },
    { tensor: "ffn_up_exps", first: 1, layers: 3, bytes: 110 },
    { tensor: "ffn_up_exps", first: 5, layers: 1, bytes: 110 },
  ]);
});

test("experts of safetensors are locked whole, without the shared ones", () => {
  const tensors = [
    { name: "model.layers.3.mlp.experts.0.up_proj.weight", bytes: 3 },
    { name: "model.layers.3.mlp.experts.1.up_proj.weight", bytes: 4 },
    { name: "model.language_model.layers.4.mlp.experts.gate_up_proj", bytes: 7 },
    { name: "model.layers.3.mlp.shared_experts.up_proj.weight", bytes: 50 },
    { name: "model.layers.3.mlp.gate.weight", bytes: 50 },
  ];
  expect(expertTensorsOf(tensors)).toEqual([{ tensor: "experts", first: 3, layers: 2, bytes: 7 }]);
});

test("a lock from before it held experts is read, and they are sized by the shape", () => {
  const old = locked({ experts: 128 }, 62.8e9);
  expect(
    modelLockSchema.parse({ "hf://o/m": { ...old, layerBytes: Math.round(old.layerBytes) } }),
  ).toBeDefined();
  const bytes = expertsOf(old).reduce((sum, one) => sum + one.bytes * one.layers, 0);
  // All layers but their attention, with 16 bits a weight.
  expect(bytes / 1e9).toBeCloseTo(0.9 * 62.8 - (2 * 36 * 4096 * (32 * 256 + 8 * 256)) / 1e9, 2);
  expect(expertsOf(locked())).toEqual([]);
});
