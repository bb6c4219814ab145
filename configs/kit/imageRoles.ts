/** Every image that a box may run: the box's own, then one for each variant of an engine. */
export const imageRoles = [
  "gateway",
  "edge",
  "cache",
  "database",
  "prometheus",
  "alertmanager",
  "grafana",
  "node-exporter",
  "redis-exporter",
  "postgres-exporter",
  "dcgm-exporter",
  "acme",
  "llamacpp",
  "llamacpp-cuda",
  "llamacpp-cuda13",
  "llamacpp-rocm",
  "llamacpp-vulkan",
  "llamacpp-intel",
  "llama-swap",
  "llama-swap-cuda",
  "llama-swap-cuda13",
  "llama-swap-rocm",
  "llama-swap-vulkan",
  "llama-swap-intel",
  "vllm",
  "vllm-cpu",
  "vllm-rocm",
  "vllm-xpu",
  "sglang",
  "sglang-rocm",
  "sglang-spark",
  "tensorrt-llm",
  "ollama",
  "ollama-rocm",
  "tei-cpu",
  "tei-cpu-arm64",
  "tei-75",
  "tei-80",
  "tei-86",
  "tei-89",
  "tei-90",
  "tei-100",
  "tei-120",
  "tei-121",
  "speaches-cpu",
  "speaches-cuda",
] as const;

export type ImageRole = (typeof imageRoles)[number];

/** An image that a model's entry names itself, as `repository:tag`. No role has a colon. */
export type OwnImage = `${string}:${string}`;

/** What an image is locked and resolved by. */
export type ImageName = ImageRole | OwnImage;

/** True for an image that an entry names itself. */
export function isOwnImage(name: ImageName): name is OwnImage {
  return name.includes(":");
}

/** Its repository and its tag. The repository may have a port: `localhost:5000/x:1`. */
export function ownImageParts(name: OwnImage): { image: string; tag: string } {
  const end = name.lastIndexOf(":");
  return { image: name.slice(0, end), tag: name.slice(end + 1) };
}

/** The name that an entry's own image is locked by. */
export function ownImageOf({ repository, tag }: { repository: string; tag: string }): OwnImage {
  return `${repository}:${tag}`;
}
