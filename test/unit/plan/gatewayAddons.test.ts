import { parse } from "yaml";
import { renderText } from "../../../configs/kit/text";
import { parseStack } from "../../../configs/parse";
import { planBox } from "../../../configs/plan/box";
import { gatewayYaml } from "../../../configs/plan/gatewayYaml";
import { saltFingerprint } from "../../../configs/secrets/facts";
import { planRemoteGateway } from "../../../operations/gatewayConfig/remoteGateway";
import { packageDir } from "../../../platform/project";
import { loadAssets } from "../../../platform/stack/assets";
import { rawStack, recipes, testPlan, testSecrets, tinyModel } from "../../support/stacks";

const secrets = { ...testSecrets, rankKey: "PLANTED-rank-0123456789" };
const gateway = {
  modules: { audit: "./audit.py" },
  settings: { litellm: { callbacks: ["audit.handler"] } },
  guardrails: {
    words: {
      ...{ guardrail: "litellm_content_filter", mode: "pre_call" },
      params: { blocked_words: [{ keyword: "x", action: "BLOCK" }], api_key: { secret: "rankKey" } },
    },
  },
  passThrough: {
    "/rank": { target: "http://rank:8000/r", apiKey: { secret: "rankKey" }, headers: { "x-a": "b" } },
    "/files-of/all": { target: "http://rank:8000/f", subpaths: true, methods: ["GET"], costPerRequest: 0.01 },
  },
};

function configWith(text: string) {
  const raw = rawStack({ gateway, models: tinyModel }, secrets);
  return { raw, config: parseStack({ ...raw, ownFiles: { "./audit.py": { text } } }) };
}

function planWith(text: string) {
  const { raw, config } = configWith(text);
  return planBox({
    ...{ config, secrets: raw.secrets, saltFingerprint: saltFingerprint(testSecrets.saltKey ?? "") },
    ...{ resolved: recipes, assets: loadAssets(packageDir) },
  });
}

const plan = planWith("handler = 1\n");

test("LiteLLM gets guardrails that are on for everybody, and routes that ask for a key", () => {
  expect(gatewayYaml(plan)).toMatchObject({
    litellm_settings: { callbacks: ["audit.handler", "gpubox_guard.instance"] },
    guardrails: [
      {
        guardrail_name: "words",
        litellm_params: {
          ...{ guardrail: "litellm_content_filter", mode: "pre_call", default_on: true },
          blocked_words: [{ keyword: "x", action: "BLOCK" }],
          api_key: "os.environ/GPUBOX_SECRET_rankKey",
        },
      },
    ],
    general_settings: {
      pass_through_endpoints: [
        {
          ...{ path: "/rank", target: "http://rank:8000/r", auth: true },
          headers: { Authorization: "Bearer os.environ/GPUBOX_SECRET_rankKey", "x-a": "b" },
          ...{ include_subpath: false, methods: ["POST"], timeout: 600 },
        },
        {
          ...{ path: "/files-of/all", target: "http://rank:8000/f", auth: true, headers: {} },
          ...{ include_subpath: true, methods: ["GET"], timeout: 600, cost_per_request: 0.01 },
        },
      ],
    },
  });
});

test("their keys are in the env file alone, and the proof asks for the guardrails", () => {
  const { files } = plan.gateway.directory;
  expect(renderText(files["gateway.env"]!.text, secrets)).toContain(
    "GPUBOX_SECRET_rankKey='PLANTED-rank-0123456789'\n",
  );
  expect(JSON.stringify(plan)).not.toContain("PLANTED");
  expect(JSON.parse(plan.gateway.description).guardrails).toEqual(["words"]);
});

test("the user's module lies beside LiteLLM's config, and another text of it is another generation", () => {
  expect(plan.gateway.directory.files["audit.py"]).toEqual({ text: ["handler = 1\n"], mode: "0640" });
  expect(planWith("handler = 1\n").gateway.generation).toBe(plan.gateway.generation);
  expect(planWith("handler = 2\n").gateway.generation).not.toBe(plan.gateway.generation);
});

test("the edge opens exactly these routes, and takes from clients no field that would reach the target", () => {
  const rules = renderText(plan.edge.directory.files["haproxy.cfg"]!.text, secrets)
    .split("\n")
    .map((line) => line.trim());
  expect(
    rules.filter((line) => / (\/rank|\/files-of)/.test(line) && line.startsWith("acl client_route")),
  ).toEqual([
    "acl client_route var(txn.path) -m str /rank",
    "acl client_route var(txn.path) -m str /files-of/all",
    "acl client_route var(txn.path) -m beg /files-of/all/",
  ]);
  expect(rules).toContain("http-request del-header x-pass- -m beg");
  const without = renderText(testPlan().edge.directory.files["haproxy.cfg"]!.text, testSecrets);
  expect(without).not.toContain("x-pass-");
});

test("a gateway on another machine gets the module, and the names of the keys", () => {
  const remote = planRemoteGateway(
    { config: configWith("handler = 1\n").config, resolved: recipes, assets: loadAssets(packageDir) },
    "stateless",
  );
  expect(remote.modules).toEqual({ "audit.py": "handler = 1\n" });
  expect(parse(remote.config)).toMatchObject({ guardrails: [{ guardrail_name: "words" }] });
  expect(remote.env).toContain("# pulumi config get gpubox:rankKey\nGPUBOX_SECRET_rankKey=\n");
});

test("a box that uses none of this has no trace of it", () => {
  const bare = testPlan();
  expect(Object.keys(gatewayYaml(bare) as object)).not.toContain("guardrails");
  expect(gatewayYaml(bare)).not.toHaveProperty("general_settings.pass_through_endpoints");
  expect(JSON.parse(bare.gateway.description)).not.toHaveProperty("guardrails");
});
