import { ConfigError } from "../../../../configs/kit/problems";
import { createArguments, edgeArguments } from "../../../../operations/jobs/createArguments";
import { mergeTemplate, parseTemplate } from "../../../../operations/jobs/template";
import { env, FOLDER, litellm, planOf, remote, SECRETS, text } from "../../../support/jobPlans";
import { tinyModel } from "../../../support/stacks";

describe("a job of a remote server", () => {
  test("has one model under the served name, with its dummy key and prices by the token", () => {
    const plan = planOf({ ...remote, price: { inputPerMillion: 2.1, outputPerMillion: 8.4 } });
    expect(litellm(plan).model_list).toEqual([
      {
        model_name: "GLM-5-FP8",
        litellm_params: {
          model: "hosted_vllm/GLM-5-FP8",
          api_base: "http://llm.example:8000/v1",
          api_key: "dummy-cf",
          timeout: 900,
          num_retries: 0,
          cooldown_time: 0,
        },
        model_info: {
          id: "GLM-5-FP8",
          cooldown_time: 0,
          mode: "chat",
          input_cost_per_token: 0.0000021,
          output_cost_per_token: 0.0000084,
        },
      },
    ]);
    expect(plan.networks).toEqual(["gpubox-test-edge"]);
  });

  test("has no database, no Redis and no cache, and the log as its callback", () => {
    const config = litellm(planOf(remote, { cache: { mode: "bundled", ttlSeconds: 60 } }));
    expect(config.general_settings).toEqual({
      master_key: "os.environ/LITELLM_MASTER_KEY",
      store_model_in_db: false,
      cancel_on_disconnect: true,
      disable_model_info_refresh: true,
    });
    expect(config.router_settings).toEqual({
      routing_strategy: "simple-shuffle",
      timeout: 900,
      num_retries: 0,
      model_group_alias: {},
    });
    expect([config.litellm_settings.cache, config.litellm_settings.callbacks]).toEqual([
      false,
      ["gpubox_guard.instance", "gpubox_trajectory.instance"],
    ]);
  });

  test("writes its log in its own folder and refuses what it cannot log", () => {
    expect(JSON.parse(text(planOf(remote), "trajectory.json"))).toEqual({
      file: `${FOLDER}/log/litellm-trajectory.jsonl`,
      job: "eval",
      onLogFailure: "refuse",
      compress: "none",
      rotateBytes: 256 * 1024 * 1024,
    });
  });

  test("needs no secret of the stack with dummy keys, so that it starts quickly", () => {
    const plan = planOf({ ...remote, key: "dummy-key-cf" });
    expect([plan.secrets, plan.key]).toEqual([[], "dummy-key-cf"]);
  });

  test("refers to a real key through the environment, and has it only in the env file", () => {
    const plan = planOf({ ...remote, upstream: { ...remote.upstream, apiKey: { secret: "glmKey" } } });
    expect(litellm(plan).model_list[0].litellm_params.api_key).toBe("os.environ/GPUBOX_SECRET_glmKey");
    expect(env(plan)).toContain(`GPUBOX_SECRET_glmKey='${SECRETS.glmKey}'`);
    const others = Object.keys(plan.files).filter((file) => file !== "litellm.env");
    expect(others.filter((file) => text(plan, file).includes("PLANTED"))).toEqual([]);
    expect(plan.secrets).toEqual(["glmKey"]);
  });

  test("is tested with its own name and key before the start, once when both protocols use the same route", () => {
    expect(planOf(remote).questions).toEqual([
      {
        network: "gpubox-test-edge",
        url: "http://llm.example:8000/v1",
        model: "GLM-5-FP8",
        key: ["dummy-cf"],
        paths: ["chat/completions"],
      },
    ]);
    const native = { ...remote, upstream: { ...remote.upstream, messages: "native" } };
    expect(planOf(native).questions[0]!.paths).toEqual(["chat/completions", "messages"]);
    expect(planOf({ ...native, protocols: ["anthropic_compatible"] }).questions[0]!.paths).toEqual([
      "messages",
    ]);
  });
});

describe("a job of a model of this box", () => {
  const local = { upstream: { box: "tiny" }, port: 4101 };

  test("goes through the model's valve with the backends' key, and is only on the models' network", () => {
    const plan = planOf(local);
    const [{ litellm_params: params }] = litellm(plan).model_list;
    expect([params.model, params.api_base, params.api_key]).toEqual([
      "hosted_vllm/tiny",
      expect.stringMatching(/^http:\/\/valve-tiny:\d+\/v1$/),
      "os.environ/GPUBOX_BACKEND_KEY",
    ]);
    expect(plan.networks).toEqual(["gpubox-test-edge", "gpubox-test-models"]);
    expect(plan.questions[0]!.network).toBe("gpubox-test-models");
    expect(env(plan).find((line) => line.startsWith("GPUBOX_BACKEND_KEY="))).toMatch(/='[0-9a-f]{64}'$/);
  });

  test("ignores the limits of the box's own gateway", () => {
    const models = { tiny: { ...tinyModel.tiny, rpm: 1, tpm: 2, maxParallel: 3 } };
    const [{ litellm_params: params }] = litellm(planOf(local, { models })).model_list;
    expect(
      Object.keys(params).filter((key) => ["rpm", "tpm", "max_parallel_requests"].includes(key)),
    ).toEqual([]);
  });

  test("may be asked for by another name", () => {
    const config = litellm(planOf({ ...local, model: "policy", aliases: ["local-model"] }));
    expect([config.model_list[0].model_name, config.router_settings.model_group_alias]).toEqual([
      "policy",
      { "local-model": "policy" },
    ]);
  });

  test("with sticky-routing aliases has a name for each server, and keeps a session on one", () => {
    const models = { tiny: { ...tinyModel.tiny, instances: [{ name: "a" }, { name: "b" }] } };
    const sticky = { ...local, stickyRoutingAliases: ["tiny@a", "tiny@b"] };
    const plan = planOf(sticky, { models });
    const config = litellm(plan);
    const bases = (name: string) =>
      config.model_list
        .filter((one: { model_name: string }) => one.model_name === name)
        .map(
          (one: { litellm_params: { api_base: string } }) => new URL(one.litellm_params.api_base).hostname,
        );
    expect([bases("tiny"), bases("tiny@a"), bases("tiny@b")]).toEqual([
      ["valve-tiny-a", "valve-tiny-b"],
      ["valve-tiny-a"],
      ["valve-tiny-b"],
    ]);
    expect(config.router_settings.optional_pre_call_checks).toEqual(["session_affinity"]);
    expect(env(plan)).toContain("LITELLM_STICKY_ROUTING_ALIASES='tiny=tiny@a,tiny@b'");
  });

  test("without them still has the variable, but empty", () => {
    expect(env(planOf(local))).toContain("LITELLM_STICKY_ROUTING_ALIASES=''");
  });
});

describe("a job's container", () => {
  const limits = {
    stack: "test",
    owner: { uid: 1000, gid: 1001 },
    expiresAt: null,
    cores: 1,
    memoryMiB: 1024,
  };

  test("publishes nothing: its edge does, on loopback only, and neither is `up`'s", () => {
    const plan = planOf(remote);
    expect(createArguments(plan, limits)).not.toContain("--publish");
    const words = edgeArguments(plan, limits);
    const valuesOf = (flag: string) => words.filter((_, index) => words[index - 1] === flag);
    expect(valuesOf("--publish")).toEqual(["127.0.0.1:4101:4000"]);
    expect(valuesOf("--label")).toEqual([
      "gpubox.stack=test",
      "gpubox.role=job-eval-edge",
      "gpubox.keep=job",
      "gpubox.job.edge=eval",
    ]);
    expect(valuesOf("--user")).toEqual(["1000:1001"]);
    expect(valuesOf("--stop-timeout")).toEqual(["960"]);
    expect(valuesOf("--mount")).toEqual([`type=bind,source=${FOLDER}/edge,target=/etc/gpubox,readonly`]);
  });

  test("is found by its labels, and `up` leaves it alone", () => {
    const words = createArguments(planOf(remote), limits);
    const valuesOf = (flag: string) => words.filter((_, index) => words[index - 1] === flag);
    expect(valuesOf("--label")).toEqual([
      "gpubox.stack=test",
      "gpubox.role=job-eval",
      "gpubox.keep=job",
      "gpubox.job=eval",
      `gpubox.job.folder=${FOLDER}`,
    ]);
    expect(valuesOf("--restart")).toEqual(["unless-stopped"]);
    expect(valuesOf("--user")).toEqual(["1000:1001"]);
    expect(valuesOf("--stop-timeout")).toEqual(["960"]);
  });

  test("gets no secret by its arguments", () => {
    const plan = planOf({
      ...remote,
      upstream: { ...remote.upstream, apiKey: { secret: "glmKey" } },
      extra: { HF_TOKEN: { secret: "glmKey" }, MODE: "fast" },
    });
    expect(createArguments(plan, limits).join(" ")).not.toContain("PLANTED");
    expect(env(plan)).toEqual([
      "LITELLM_STICKY_ROUTING_ALIASES=''",
      `HF_TOKEN='${SECRETS.glmKey}'`,
      "MODE='fast'",
      `LITELLM_CONFIG='${FOLDER}/litellm_config_eval.yaml'`,
      "LITELLM_MASTER_KEY='sk-made'",
      `GPUBOX_SECRET_glmKey='${SECRETS.glmKey}'`,
    ]);
  });
});

describe("a template", () => {
  test("can set what the job does not need, but never what would break its isolation", () => {
    const template = `
model_list: [{ model_name: other, litellm_params: { model: openai/other } }]
environment_variables: { OPENAI_API_KEY: sk-plain }
litellm_settings: { callbacks: prometheus, num_retries: 3, request_timeout: 5, cache: true }
router_settings: { redis_host: redis, enable_pre_call_checks: true }
general_settings: { master_key: sk-theirs, database_url: postgresql://x, max_request_size_mb: 32 }
`;
    const plan = planOf(remote, {}, template);
    const config = litellm(plan);
    expect(config.model_list.map((one: { model_name: string }) => one.model_name)).toEqual(["GLM-5-FP8"]);
    expect(config).not.toHaveProperty("environment_variables");
    expect(config.litellm_settings).toMatchObject({
      callbacks: ["prometheus", "gpubox_guard.instance", "gpubox_trajectory.instance"],
      num_retries: 3,
      request_timeout: 900,
      cache: false,
    });
    expect(config.router_settings).toMatchObject({ enable_pre_call_checks: true });
    expect(config.router_settings).not.toHaveProperty("redis_host");
    expect(config.general_settings).toEqual({
      max_request_size_mb: 32,
      master_key: "os.environ/LITELLM_MASTER_KEY",
      store_model_in_db: false,
      cancel_on_disconnect: true,
      disable_model_info_refresh: true,
    });
    expect(plan.notes).toEqual([
      "The template's model_list is left out: a job has one model, its upstream.",
      "The template's environment_variables is left out: put variables into `extra`, where keys are secrets.",
      "The template's litellm_settings.cache is left out: a job has its own.",
      "The template's router_settings.redis_host is left out: a job has its own.",
      "The template's general_settings.master_key is left out: a job has its own.",
      "The template's general_settings.database_url is left out: a job has its own.",
    ]);
  });

  test.each([
    ["a: [", "The template is no valid YAML at line 1: BAD_INDENT."],
    ["- a\n- b", "The template is not a map of LiteLLM's sections."],
  ])("that is not a config is refused: %j", (broken, what) => {
    const found = parseTemplate(broken, "x");
    expect("problem" in found && found.problem.what).toMatch(what.replace(/: BAD.*/, ""));
    expect(() => planOf(remote, {}, broken)).toThrow(ConfigError);
  });

  test("that is empty changes nothing", () => {
    const own = { litellm_settings: { callbacks: ["a"] } };
    expect(parseTemplate("", "x")).toEqual({ settings: {} });
    expect(mergeTemplate({}, own)).toEqual({ config: own, notes: [] });
  });
});

test("a model of the box is asked with its own params, and their secrets are in the job's env file", () => {
  const params = { extra_body: { think: false }, extra_headers: { "x-key": { secret: "glmKey" } } };
  const plan = planOf(
    { upstream: { box: "tiny" }, port: 4101 },
    { models: { tiny: { ...tinyModel.tiny, params } } },
  );
  expect(litellm(plan).model_list[0].litellm_params).toMatchObject({
    extra_body: { think: false },
    extra_headers: { "x-key": "os.environ/GPUBOX_SECRET_glmKey" },
  });
  expect(env(plan)).toContain(`GPUBOX_SECRET_glmKey='${SECRETS.glmKey}'`);
  expect(plan.secrets).toContain("glmKey");
});
