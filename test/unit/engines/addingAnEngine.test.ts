import { z } from "zod";
import { engines } from "../../../configs/engines";
import { bashHealth, readySeconds } from "../../../configs/engines/container";
import { checkDevices, deviceAccess } from "../../../configs/engines/devices";
import type { Engine } from "../../../configs/engines/engine";
import { modelInfo } from "../../../configs/engines/info";
import { checkExtraArgs, flags } from "../../../configs/engines/options";
import { modelSource, weightsDirectory } from "../../../configs/engines/source";
import { backendBase, modeOption } from "../../../configs/schema/model";
import { stackJsonSchema } from "../../../configs/stack/config";
import { modelPort } from "../../../configs/stack/instances";
import { boxOf, refusals, served } from "../../support/engines";

// As short as an engine can be. CONTRIBUTING.md shows a whole one, which test/e2e/contributing.test.ts adds.
const shape = {
  engine: z.literal("toy"),
  model: modelSource.describe("hf://owner/repo[@revision], or file:///directory/on/the/host."),
  mode: modeOption(["chat", "embedding"]),
  maxTokens: z.int().positive().optional().describe("--max-tokens."),
  ...backendBase(4096),
};
const schema = z.strictObject(shape);
type ToyModel = z.infer<typeof schema>;

const toy: Engine<ToyModel> = {
  schema,
  keys: Object.keys(shape),
  protocols: [{ path: "/v1/messages", how: "translated", why: "It speaks OpenAI's protocol only." }],
  features: { example: "hf://acme/toy", known: "vendor" },
  check: (model, path, { host }) => [
    ...checkDevices("Toy", model.gpu, host, path, ["cpu", "nvidia"]),
    ...checkExtraArgs(model.extraArgs, { "--port": "", "--max-tokens": "maxTokens" }, path),
  ],
  images: () => ["vllm"],
  container(model, context) {
    const weights = weightsDirectory(model.model, context);
    const { env, ...devices } = deviceAccess(model.gpu, context.host);
    return {
      ...devices,
      image: "vllm",
      entrypoint: ["toy"],
      command: flags({ "--model": weights.path, "--port": context.port, "--max-tokens": model.maxTokens }),
      env: { ...env, ...model.env },
      port: context.port,
      healthPath: "/ready",
      healthTest: bashHealth(context.port, "/ready"),
      memoryMiB: model.memoryMiB,
      readySeconds: readySeconds(model, context, 60),
      stopGraceSeconds: 20,
      mounts: [weights.mount],
      weights: weights.fetch,
    };
  },
  route: (model, context, upstream) => ({
    model: `hosted_vllm/${context.name}`,
    mode: model.mode,
    apiBase: `${upstream}/v1`,
    info: modelInfo(model, context),
  }),
};

const registry: Record<string, unknown> = engines;

beforeAll(() => {
  registry.toy = toy;
});
afterAll(() => {
  delete registry.toy;
});

const entry = { engine: "toy", model: "hf://acme/toy", gpu: { devices: [0] }, maxTokens: 7 };

test("one file and one line give an engine its container, its valve and its route", () => {
  const { container, valve, deployment, weights } = served(entry);
  const port = modelPort("m");
  expect(container).toMatchObject({
    name: "backend-m",
    image: "image/vllm",
    command: ["--model", "/srv/gpubox/models/hf/acme/toy/main", "--port", String(port), "--max-tokens", "7"],
    networks: { backends: ["backend-m"] },
    gpu: { vendor: "nvidia", ids: ["0"] },
    readOnly: true,
    memoryMiB: 4096,
  });
  expect(valve.container.name).toBe("valve-m");
  expect(deployment.litellm_params).toMatchObject({
    model: "hosted_vllm/m",
    api_base: `http://valve-m:${port}/v1`,
    num_retries: 0,
  });
  expect(weights[0]?.stdin?.[1]).toContain('"repo":"acme/toy"');
});

test("what every engine has comes with it: instances, aliases, prices, a published port", () => {
  const { plan, deployments } = boxOf(
    {
      ...entry,
      aliases: ["bear"],
      price: { inputPerMillion: 1 },
      gpu: undefined,
      instances: [{ gpu: { devices: [0] }, expose: { port: 9000, key: { secret: "k" } } }, {}],
    },
    { secrets: { k: "sk-PLANTED-k" } },
  );
  expect(plan.models).toEqual(["m", "bear"]);
  expect(plan.backends.map((b) => b.valve.container.ports.length)).toEqual([1, 0]);
  expect(deployments.map((d) => d.model_info.input_cost_per_token)).toEqual([1e-6, 1e-6]);
});

test("its mistakes are found and its typos have hints", () => {
  expect(refusals({ ...entry, maxToken: 7 })).toEqual([
    'maxToken: "maxToken" is no setting here. Did you mean "maxTokens"?',
  ]);
  expect(refusals({ ...entry, extraArgs: ["--max-tokens=9"] })).toEqual([
    'extraArgs: "--max-tokens" is set by gpubox. Use the entry\'s own key for it: maxTokens.',
  ]);
});

test("editors know it", () => {
  expect(JSON.stringify(stackJsonSchema())).toContain('"const":"toy"');
});
