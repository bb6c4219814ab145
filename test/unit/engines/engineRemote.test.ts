import { renderText } from "../../../configs/kit/text";
import { boxOf, refusals } from "../../support/engines";
import { testPlan, testSecrets } from "../../support/stacks";

const secrets = {
  azureApiKey: "azure-PLANTED",
  awsId: "id-PLANTED",
  awsKey: "aws-PLANTED",
  google: '{"private_key":"PLANTED"}',
};
const one = (entry: Record<string, unknown>) =>
  boxOf({ engine: "cloud", ...entry }, { host: {}, secrets }).deployments[0]!;

describe("a provider in the cloud", () => {
  test("Azure has its base, its version and its key by name", () => {
    expect(
      one({
        model: "azure/gpt-5-mini",
        apiBase: "https://x.openai.azure.com",
        apiVersion: "2024-06-01",
        apiKey: { secret: "azureApiKey" },
        baseModel: "gpt-4o-mini",
      }),
    ).toEqual({
      model_name: "m",
      litellm_params: {
        model: "azure/gpt-5-mini",
        api_base: "https://x.openai.azure.com",
        api_version: "2024-06-01",
        api_key: "os.environ/GPUBOX_SECRET_azureApiKey",
        timeout: 600,
        cooldown_time: 0,
      },
      model_info: { id: "m", cooldown_time: 0, mode: "chat", base_model: "gpt-4o-mini" },
    });
  });

  test("Bedrock has a region and two secrets, and no placeholder for a key", () => {
    const aws = {
      region: "eu-central-1",
      accessKeyId: { secret: "awsId" },
      secretAccessKey: { secret: "awsKey" },
    };
    expect(one({ model: "bedrock/anthropic.claude-sonnet", aws }).litellm_params).toEqual({
      model: "bedrock/anthropic.claude-sonnet",
      timeout: 600,
      cooldown_time: 0,
      aws_region_name: "eu-central-1",
      aws_access_key_id: "os.environ/GPUBOX_SECRET_awsId",
      aws_secret_access_key: "os.environ/GPUBOX_SECRET_awsKey",
    });
  });

  test("Vertex has a project, a location and its service account", () => {
    const vertex = { project: "p", location: "europe-west1", credentials: { secret: "google" } };
    const { plan, deployments } = boxOf(
      { engine: "cloud", model: "vertex_ai/gemini-pro", vertex },
      { host: {}, secrets },
    );
    expect(deployments[0]?.litellm_params).toEqual({
      model: "vertex_ai/gemini-pro",
      timeout: 600,
      cooldown_time: 0,
      vertex_project: "p",
      vertex_location: "europe-west1",
      vertex_credentials: "os.environ/GPUBOX_SECRET_google",
    });
    const env = renderText(plan.gateway.directory.files["gateway.env"]!.text, { ...testSecrets, ...secrets });
    expect(env).toContain(`GPUBOX_SECRET_google='{"private_key":"PLANTED"}'\n`);
    expect(JSON.stringify(plan)).not.toContain("PLANTED");
  });

  test.each(["openrouter/qwen/qwen3-coder", "groq/llama-3.3-70b-versatile", "mistral/codestral"])(
    "%s needs its prefix and a key, nothing else",
    (model) => {
      expect(one({ model, apiKey: { secret: "azureApiKey" } }).litellm_params.model).toBe(model);
    },
  );

  test("a price per million tokens becomes a price per token", () => {
    const price = { inputPerMillion: 0.15, outputPerMillion: 0.6 };
    expect(one({ model: "groq/x", apiKey: "none", price }).model_info).toMatchObject({
      input_cost_per_token: 1.5e-7,
      output_cost_per_token: 6e-7,
    });
  });

  test("a changed secret of an account repeats the model's proof", () => {
    const aws = { region: "r", accessKeyId: { secret: "awsId" }, secretAccessKey: { secret: "awsKey" } };
    const hash = (awsKey: string) =>
      boxOf({ engine: "cloud", model: "bedrock/x", aws }, { host: {}, secrets: { ...secrets, awsKey } }).plan
        .gateway.modelHashes.m;
    expect(hash("one")).not.toBe(hash("two"));
  });

  test("two accounts stand behind one name, one after the other", () => {
    const { deployments } = boxOf(
      {
        engine: "cloud",
        model: "groq/x",
        instances: [
          { apiKey: { secret: "azureApiKey" }, order: 1 },
          { apiKey: { secret: "awsKey" }, order: 2 },
        ],
      },
      { host: {}, secrets },
    );
    expect(
      deployments.map((d) => [d.model_info.id, d.litellm_params.api_key, d.litellm_params.order]),
    ).toEqual([
      ["m-1", "os.environ/GPUBOX_SECRET_azureApiKey", 1],
      ["m-2", "os.environ/GPUBOX_SECRET_awsKey", 2],
    ]);
  });

  test("an account by the machine's role has no key, and none that stands for one", () => {
    const role = "arn:aws:iam::123456789012:role/llm";
    const aws = { region: "eu-central-1", roleName: role };
    expect(one({ model: "bedrock/x", aws, apiKey: "none" }).litellm_params).toEqual({
      ...{ model: "bedrock/x", timeout: 600, cooldown_time: 0 },
      ...{ aws_region_name: "eu-central-1", aws_role_name: role, aws_session_name: "gpubox" },
    });
    const vertex = { project: "p", location: "global" };
    expect(one({ model: "vertex_ai/x", vertex, apiKey: "none" }).litellm_params).toEqual({
      ...{ model: "vertex_ai/x", timeout: 600, cooldown_time: 0 },
      ...{ vertex_project: "p", vertex_location: "global" },
    });
  });

  test.each([
    [
      { tenantId: "t", clientId: "c", clientSecret: { secret: "azureApiKey" } },
      { tenant_id: "t", client_id: "c", client_secret: "os.environ/GPUBOX_SECRET_azureApiKey" },
    ],
    [{ adToken: { secret: "azureApiKey" } }, { azure_ad_token: "os.environ/GPUBOX_SECRET_azureApiKey" }],
  ])("Azure by Entra ID, %j, has no key", (azure, params) => {
    const at = { apiBase: "https://x.openai.azure.com", apiVersion: "2024-06-01" };
    expect(one({ model: "azure/gpt-5-mini", ...at, azure }).litellm_params).toEqual({
      ...{ model: "azure/gpt-5-mini", timeout: 600, cooldown_time: 0 },
      ...{ api_base: at.apiBase, api_version: at.apiVersion },
      ...params,
    });
  });

  test.each([
    [
      "https://proxy.example/v1",
      [expect.stringContaining("m: /v1/messages goes to /v1/responses of https://proxy.example/v1.")],
    ],
    ["https://eu.api.openai.com/v1", []],
    [undefined, []],
  ])("OpenAI's prefix at %s is said to ask for /v1/responses where that is not OpenAI", (apiBase, notes) => {
    const m = { engine: "cloud", model: "openai/x", apiKey: { secret: "azureApiKey" }, apiBase };
    const plan = testPlan({ models: { m } }, { ...testSecrets, ...secrets });
    expect(plan.notes.filter((note) => note.includes("/v1/responses"))).toEqual(notes);
  });

  test.each([
    [
      { model: "gogle/x", apiKey: "none" },
      ['model: LiteLLM 1.106.0 has no provider "gogle". Did you mean "gemini"?'],
    ],
    [
      { model: "anthropc/x", apiKey: "none" },
      ['model: LiteLLM 1.106.0 has no provider "anthropc". Did you mean "anthropic"?'],
    ],
    [
      { model: "somebody-elses/x", apiKey: "none" },
      [
        'model: LiteLLM 1.106.0 has no provider "somebody-elses". Write one of its prefixes, or engine: openai with the server\'s baseUrl.',
      ],
    ],
    [
      { model: "groq/x", apiKey: "none", mode: "embedding" },
      [
        "mode: LiteLLM 1.106.0 has no embeddings from groq/. Write mode: chat or audio_transcription or audio_speech or image_generation, or use another provider.",
      ],
    ],
    [
      { model: "voyage/x", apiKey: "none" },
      [
        "mode: LiteLLM 1.106.0 has no chats from voyage/. Write mode: embedding or rerank, or use another provider.",
      ],
    ],
    [
      { model: "bedrock/x", aws: { region: "r" } },
      [
        "aws: It names no credentials. Add them, or write apiKey: none beside it where the machine's own role pays.",
      ],
    ],
    [
      { model: "groq/x" },
      ["apiKey: It is missing. Write { secret: <name of a secret> }, or none where the server wants no key."],
    ],
    [
      { model: "bedrock/x" },
      [
        "gpubox:models.m: bedrock/ needs an account of its provider. Add aws: { region, accessKeyId: { secret: … }, secretAccessKey: { secret: … } }.",
      ],
    ],
    [
      { model: "vertex_ai/x" },
      [
        "gpubox:models.m: vertex_ai/ needs an account of its provider. Add vertex: { project, location, credentials: { secret: … } }.",
      ],
    ],
    [
      { model: "azure/x", apiKey: "none" },
      [
        "gpubox:models.m: Azure needs the resource's URL and an API version. Add apiBase: https://<resource>.openai.azure.com and apiVersion.",
      ],
    ],
    [
      { model: "groq/x", apiKey: { secret: "nobody" } },
      ["apiKey: The secret nobody is missing. Set it: pulumi config set --secret gpubox:nobody."],
    ],
    [
      { model: "groq/x", instances: [{ apiKey: { secret: "azureApiKey" } }, {}] },
      [
        "instances[1].apiKey: It is missing. Write { secret: <name of a secret> }, or none where the server wants no key.",
      ],
    ],
  ])("%j is refused", (entry, problems) => {
    expect(refusals({ engine: "cloud", ...entry }, { host: {}, secrets })).toEqual(problems);
  });
});

describe("an optional model", () => {
  const groq = { engine: "cloud", model: "groq/x", apiKey: { secret: "groqKey" }, optional: true };

  test.each([
    ["is not set", {}],
    ["is blank", { groqKey: "" }],
  ])("is left out with a note while its key %s, and changes nothing else", (_, key) => {
    const plan = testPlan({ models: { groq } }, { ...testSecrets, ...key });
    expect(plan.models).toEqual([]);
    expect(plan.notes).toContain("groq is optional and left out: groqKey is not set.");
    expect(plan.gateway.generation).toBe(testPlan({ models: {} }).gateway.generation);
  });

  test("is there as soon as its key is", () => {
    expect(testPlan({ models: { groq } }, { ...testSecrets, groqKey: "gsk-PLANTED" }).models).toEqual([
      "groq",
    ]);
  });

  test("does not excuse another model that needs the same key", () => {
    const models = { groq, other: { ...groq, optional: false } };
    expect(() => testPlan({ models }, testSecrets)).toThrow(
      "gpubox:models.other.apiKey: The secret groqKey is missing.",
    );
    expect(() => testPlan({ models }, { ...testSecrets, groqKey: "" })).toThrow(
      "gpubox:groqKey: The secret is empty.",
    );
  });
});

describe("a server that already runs", () => {
  const far = { engine: "openai", baseUrl: "http://far:8000/v1", model: "served" };
  const deployment = (entry: Record<string, unknown>) =>
    boxOf({ ...far, ...entry }, { host: {} }).deployments[0]!;

  test.each([
    ["hosted_vllm", "hosted_vllm/served", "http://far:8000/v1"],
    ["openai", "openai/served", "http://far:8000/v1"],
    ["ollama_chat", "ollama_chat/served", "http://far:8000"],
    ["infinity", "infinity/served", "http://far:8000"],
  ])("by %s it is called at its place", (provider, model, api_base) => {
    expect(deployment({ provider }).litellm_params).toMatchObject({ model, api_base });
  });

  test("its own /v1/messages is used only where the entry says so", () => {
    expect(deployment({}).model_info.supported_endpoints).toBeUndefined();
    expect(deployment({ messages: "native" }).model_info.supported_endpoints).toEqual([
      "/v1/chat/completions",
      "/v1/messages",
    ]);
  });

  test("several servers share its name, by weight", () => {
    const { deployments } = boxOf(
      {
        engine: "openai",
        instances: [
          { baseUrl: "http://a:8000/v1", weight: 3 },
          { baseUrl: "http://b:8000/v1", rpm: 10 },
        ],
      },
      { host: {} },
    );
    expect(
      deployments.map((d) => [d.model_name, d.litellm_params.api_base, d.litellm_params.weight]),
    ).toEqual([
      ["m", "http://a:8000/v1", 3],
      ["m", "http://b:8000/v1", undefined],
    ]);
  });

  test("an instance's mistake is reported with its path", () => {
    const entry = {
      engine: "openai",
      instances: [{ baseUrl: "http://a/v1" }, { baseUrl: "http://localhost/v1" }, {}],
    };
    expect(refusals(entry, { host: {} }).map((line) => line.split(":")[0])).toEqual([
      "instances[1].baseUrl",
      "instances[2].baseUrl",
    ]);
  });
});
