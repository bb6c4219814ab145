import { imported, lost } from "../../../support/imported";

/** Kinds of configs that people have in public, each of which was once brought over wrongly. */

/** A proxy whose config is l.yaml. */
const PROXY = `
services:
  litellm:
    image: ghcr.io/berriai/litellm:main
    command: ["--config", "/app/config.yaml"]
    volumes: ["./l.yaml:/app/config.yaml"]
`;

const service = (text: string) => ({ "compose.yaml": `services:\n  m:\n${text.replace(/^/gm, "    ")}` });

test("keys that are empty where the import runs stay different secrets", async () => {
  const made = await imported({
    "compose.yaml": `${PROXY}    environment: { GROQ_API_KEY: "\${GROQ_API_KEY_UNSET}", MISTRAL_API_KEY: "\${MISTRAL_API_KEY_UNSET}" }
`,
    "l.yaml": `
model_list:
- { model_name: a, litellm_params: { model: groq/a, api_key: os.environ/GROQ_API_KEY } }
- { model_name: b, litellm_params: { model: mistral/b, api_key: os.environ/MISTRAL_API_KEY } }
`,
  });
  expect(made.values.models).toEqual({
    a: { engine: "cloud", model: "groq/a", apiKey: { secret: "groqApiKey" } },
    b: { engine: "cloud", model: "mistral/b", apiKey: { secret: "mistralApiKey" } },
  });
  expect(Object.keys(made.missing)).toEqual(["groqApiKey", "mistralApiKey"]);
});

test("a model for what gpubox opens no route is told, and not taken for one that chats", async () => {
  const made = await imported({
    "l.yaml": `
model_list:
- { model_name: a, litellm_params: { model: groq/a, api_key: os.environ/GROQ_API_KEY } }
- { model_name: films, litellm_params: { model: openai/sora-2, api_key: x }, model_info: { mode: video_generation } }
- { model_name: draws, litellm_params: { model: openai/gpt-image-1, api_key: os.environ/KEY }, model_info: { mode: image_edit } }
`,
  });
  expect(Object.keys(made.values.models!)).toEqual(["a", "draws"]);
  expect(made.values.models!.draws).toMatchObject({ mode: "image_generation" });
  expect(lost(made)).toEqual({
    "model_list[1]": "no entry was made: gpubox opens no route for the mode video_generation",
  });
});

test("half a budget is told by what is missing, and blames nothing else", async () => {
  const made = await imported({
    "compose.yaml": PROXY,
    "l.yaml": `
model_list:
- { model_name: a, litellm_params: { model: groq/a, api_key: os.environ/GROQ_API_KEY } }
litellm_settings: { budget_duration: 30d, no_such_setting: 1 }
general_settings:
`,
  });
  expect(lost(made)).toEqual({
    "litellm_settings.budget_duration": "there is no max_budget beside it",
    "litellm_settings.no_such_setting": expect.stringContaining('has no setting "no_such_setting"'),
    general_settings: "it is empty",
  });
});

test("an entry that cannot be is told by the first reason, not by what then is missing", async () => {
  const made = await imported({
    "compose.yaml": `
services:
  bad: { image: vllm/vllm-openai, command: --model /data/m.gguf, volumes: ["/srv:/data"] }
  good: { image: vllm/vllm-openai, command: --model org/m }
`,
  });
  expect(Object.keys(made.values.models!)).toEqual(["good"]);
  expect(lost(made)["services.bad"]).toMatch(/^gpubox refuses it: vLLM does not read GGUF any more\./);
});

test("vLLM used as many GPUs as its command says, whatever it saw", async () => {
  const made = await imported(
    service(`image: vllm/vllm-openai
command: --model org/m
runtime: nvidia
deploy: { resources: { reservations: { devices: [{ driver: nvidia, device_ids: ["0", "1", "2"], capabilities: [gpu] }] } } }`),
  );
  expect(made.values.models!.m).toMatchObject({ gpu: { devices: [0] } });
  expect(made.values.host).toEqual({ gpus: [{ id: 0, memoryGiB: 24 }] });
  expect(lost(made)).toEqual({});
  expect(made.text).toContain("The old server saw 3 GPUs and used 1 of them.");
});

test("flags that an image built on the host may know go with their values, and blame no other", async () => {
  const made = await imported(
    service(`image: vllm-omni:latest
build: .
command: vllm serve org/m --port 8000 --deploy-config vllm_omni/deploy.yaml --seed 1`),
  );
  expect(made.values.models!.m).toMatchObject({ extraArgs: ["--seed", "1"] });
  expect(lost(made)).toEqual({
    "services.m.image": expect.stringMatching(/^gpubox runs its own image of this engine/),
    "services.m.build": expect.stringMatching(/^gpubox builds no images of others/),
    "services.m.command.--deploy-config": "the version that gpubox runs has no such flag",
  });
});

test("an exporter of a store is no store", async () => {
  const made = await imported({
    "compose.yaml": `
services:
  m: { image: vllm/vllm-openai, command: --model org/m }
  watch: { image: oliver006/redis_exporter }
`,
  });
  expect(lost(made)).toEqual({ "services.watch": "this is no part of a model server that gpubox knows" });
});

test("a path of the host may have + and @ in it", async () => {
  const made = await imported(
    service(
      "image: ghcr.io/ggml-org/llama.cpp:server\ncommand: -m /w/a+b@q4.gguf\nvolumes: ['/srv/me+you/w:/w:ro']",
    ),
  );
  expect(made.values.models!.m).toEqual({ engine: "llamacpp", model: "file:///srv/me+you/w/a+b@q4.gguf" });
});
