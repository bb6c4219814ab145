import { imported, lost } from "../../../support/imported";

const service = (text: string) => ({ "compose.yaml": `services:\n  m:\n${text.replace(/^/gm, "    ")}` });
const vllm = "command: --model org/m\n";

test("an image of somebody's own stays, with its flags, limits and devices", async () => {
  const made = await imported(
    service(`image: ghcr.io/acme/vllm-fork:v7
command: --model org/m --only-in-the-fork 3
ulimits: { memlock: -1, stack: 67108864, nofile: { soft: 1024, hard: 4096 }, core: 0 }
shm_size: 2gb
devices: [/dev/infiniband/uverbs0, "/dev/sda:/dev/sda"]`),
  );
  expect(made.values.models!.m).toEqual({
    ...{ engine: "vllm", model: "hf://org/m", extraArgs: ["--only-in-the-fork", "3"] },
    ...{ image: { repository: "ghcr.io/acme/vllm-fork", tag: "v7" }, shmMiB: 2048 },
    ulimits: { memlock: -1, stack: 67_108_864, nofile: { soft: 1024, hard: 4096 } },
    devices: ["/dev/infiniband/uverbs0"],
  });
  expect(lost(made)).toEqual({
    "services.m.ulimits.core": "gpubox has no key for this limit",
    "services.m.devices[1]":
      "it is no accelerator, and a container with it could reach the host's disks or memory",
  });
});

test("a release of the engine's own gives way to the pinned one, and the file says how to keep it", async () => {
  const made = await imported(service(`image: vllm/vllm-openai:v0.11.0\n${vllm}`));
  expect(made.values.models!.m).toEqual({ engine: "vllm", model: "hf://org/m" });
  expect(made.text.replace(/\n\s*#\s*/g, " ").replace(/ {2,}/g, " ")).toContain(
    "The old server ran vllm/vllm-openai:v0.11.0. To keep that version, write image: { repository: vllm/vllm-openai, tag: v0.11.0 }.",
  );
});

test.each([
  ["image: my-vllm:dev", "services.m.image"],
  ["image: acme/vllm@sha256:0123", "services.m.image"],
  ["image: acme/vllm:dev\nbuild: .", "services.m.image"],
])("an image that no registry has by a tag is told: %s", async (image, place) => {
  const made = await imported(service(`${image}\n${vllm}`));
  expect(made.values.models!.m).not.toHaveProperty("image");
  expect(lost(made)[place]).toMatch(
    /^gpubox runs its own image of this engine; push yours to a registry by a tag/,
  );
});

test.each([
  [
    "image: ghcr.io/ggml-org/llama.cpp:server-rocm\ncommand: -hf org/m-GGUF:Q8_0\ndevices: [/dev/kfd, /dev/dri]\ngroup_add: [44, '992']\nenvironment: { HIP_VISIBLE_DEVICES: '1' }",
    { gpus: [{ id: 1, memoryGiB: 24, vendor: "amd" }], gpuGroups: [44, 992] },
    { gpu: { devices: [1] } },
  ],
  [
    "image: ghcr.io/ggml-org/llama.cpp:server-vulkan\ncommand: -hf org/m-GGUF:Q8_0\ndevices: ['/dev/dri:/dev/dri']\ngroup_add: [44]",
    { gpus: [{ id: 0, memoryGiB: 24, vendor: "amd" }], gpuGroups: [44] },
    { gpu: { devices: [0] }, variant: "vulkan" },
  ],
  [
    "image: ghcr.io/ggml-org/llama.cpp:server-intel\ncommand: -hf org/m-GGUF:Q8_0\ndevices: [/dev/dri]\ngroup_add: [44]",
    { gpus: [{ id: 0, memoryGiB: 24, vendor: "intel" }], gpuGroups: [44] },
    { gpu: { devices: [0] } },
  ],
])("device files of AMD's and Intel's GPUs are those GPUs: %s", async (text, host, own) => {
  const made = await imported(service(text));
  expect(made.values.host).toEqual(host);
  expect(made.values.models!.m).toEqual({
    ...{ engine: "llamacpp", model: "hf://org/m-GGUF/m-Q8_0.gguf" },
    ...own,
  });
  expect(lost(made)).toEqual({});
});

test("NVIDIA's own device files say nothing that the GPUs do not", async () => {
  const made = await imported(
    service(`image: vllm/vllm-openai\n${vllm}gpus: all\ndevices: [/dev/nvidia0, /dev/nvidiactl]`),
  );
  expect(made.values.models!.m).toMatchObject({ gpu: { devices: [0] } });
  expect(Object.values(lost(made))).toEqual(["`gpu` gives the container its device files"]);
});
