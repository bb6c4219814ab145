import { amdHost, gpuHost, refusals, served } from "../../support/engines";

const intelHost = {
  gpus: [0, 1].map((id) => ({ id, memoryGiB: 24, vendor: "intel" })),
  gpuGroups: [44, 992],
};
const gguf = { engine: "llamacpp", model: "file:///srv/models/m.gguf", gpu: { devices: [1] } };
const safetensors = { engine: "vllm", model: "file:///srv/models/m", gpu: { devices: [1] } };

test.each([
  ["SYCL on Intel", gguf, intelHost, "llamacpp-intel", ["/dev/dri"], { ZE_AFFINITY_MASK: "1" }],
  [
    "Vulkan on Intel",
    { ...gguf, variant: "vulkan" },
    intelHost,
    "llamacpp-vulkan",
    ["/dev/dri"],
    { GGML_VK_VISIBLE_DEVICES: "1" },
  ],
  [
    "Vulkan on AMD",
    { ...gguf, variant: "vulkan" },
    amdHost,
    "llamacpp-vulkan",
    ["/dev/dri"],
    { GGML_VK_VISIBLE_DEVICES: "1" },
  ],
  ["ROCm on AMD", gguf, amdHost, "llamacpp-rocm", ["/dev/dri", "/dev/kfd"], { ROCR_VISIBLE_DEVICES: "1" }],
  ["XPU on Intel", safetensors, intelHost, "vllm-xpu", ["/dev/dri"], { ZE_AFFINITY_MASK: "1" }],
] as const)(
  "%s: its image, its device files, and no device but its own",
  (_, entry, host, image, devices, env) => {
    const { container } = served(entry, { host });
    expect(container.image).toBe(`image/${image}`);
    expect([container.devices, container.groupAdd]).toEqual([devices, host.gpuGroups.map(String)]);
    expect(container.env).toMatchObject(env);
    const masks = ["ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK", "GGML_VK_VISIBLE_DEVICES"];
    expect(masks.filter((name) => name in container.env)).toEqual(Object.keys(env));
  },
);

test("vLLM on Intel sees the links by which its driver looks a device up", () => {
  const { container } = served(safetensors, { host: intelHost });
  expect(container.mounts).toContainEqual({
    ...{ kind: "directory", source: "/dev/dri/by-path", target: "/dev/dri/by-path", readOnly: true },
  });
});

test.each([
  [
    { ...gguf, variant: "vulkan" },
    gpuHost,
    "variant: gpubox gives NVIDIA's GPUs to a container for CUDA alone, and Vulkan would find none. Leave it out, or name GPUs of AMD or Intel.",
  ],
  [
    { ...gguf, gpu: undefined, variant: "vulkan" },
    gpuHost,
    "variant: Vulkan computes on a GPU, and the entry names none. Leave it out, or name GPUs of AMD or Intel.",
  ],
  [
    gguf,
    { ...intelHost, gpuGroups: [] },
    "gpubox:host.gpuGroups: The groups of Intel's device files are not known, and a container without them finds no GPU. Write the numbers that stat -c %g /dev/dri/renderD128 prints on the host.",
  ],
  [
    { ...gguf, gpu: { devices: ["GPU-1"] } },
    { ...intelHost, gpus: [{ ...intelHost.gpus[0], id: "GPU-1" }] },
    "gpu.devices: Intel's GPUs are chosen by their index. Write the indexes that `xpu-smi discovery` shows, in gpubox:host.gpus too.",
  ],
  [
    { ...safetensors, engine: "sglang" },
    intelHost,
    "gpu: SGLang has no image for Intel GPUs. Use an engine that has one (llamacpp, vllm, ollama), or leave `gpu` out where the engine runs on the CPU.",
  ],
] as [Record<string, unknown>, Record<string, unknown>, string][])(
  "%j on %j is refused",
  (entry, host, problem) => {
    expect(refusals(entry, { host })).toEqual([problem]);
  },
);
