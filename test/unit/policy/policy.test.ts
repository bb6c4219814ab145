import type { ContainerPlan } from "../../../configs/kit/containerPlan";
import { ConfigError, type PolicyFinding, type Problem } from "../../../configs/kit/problems";
import type { Resolved } from "../../../configs/kit/resolved";
import { policyWords } from "../../../configs/policy/judge";
import { looksLikeSecret } from "../../../configs/policy/plaintext";
import { policyFindings } from "../../../configs/policy/plan";
import { model } from "../../support/demands";
import { recipes, testPlan, testSecrets, testSide, tinyModel } from "../../support/stacks";

const REASON = "the registry is read only here";
const tag = { reference: "haproxy:3", source: "unresolved" as const };
const unlocked: Resolved = { ...recipes, images: { ...recipes.images, edge: tag } };

const said = (findings: PolicyFinding[]) =>
  findings.map(({ severity, policy, path }) => `${severity} ${policy} ${path}`);

function problemsOf(plan: () => unknown): Problem[] {
  try {
    plan();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** The findings of a plan in which one container is not as gpubox plans it. */
function judged(change: Partial<ContainerPlan>, policy: Record<string, unknown> = {}): PolicyFinding[] {
  const side = testSide({ models: tinyModel, policy });
  Object.assign(side.plan.backends[0]!.service.container, change);
  return policyFindings(side);
}

test("a box of recipes breaks no policy, so that a new machine without a registry needs no waiver", () => {
  expect(testPlan().policy).toEqual([]);
  expect(said(testPlan({ models: tinyModel, observability: { mode: "none" } }).policy)).toEqual([]);
});

describe("each policy names its findings", () => {
  test.each([
    [{ ports: [{ bind: "0.0.0.0", port: 8000, containerPort: 8000 }] }, "refused published-ports"],
    [{ memoryMiB: 0 }, "refused memory-limits"],
    [{ stopGraceSeconds: 0 }, "refused stop-grace"],
    [{ user: "0:0" }, "refused no-root"],
    [{ user: "root" }, "refused no-root"],
  ])("%j", (change, finding) => {
    expect(said(judged(change))).toEqual([`${finding} container backend-tiny`]);
  });

  test("root causes no warning when the image is documented for root only", () => {
    expect(judged({ user: "0:0", role: "sglang" })).toEqual([]);
  });

  test("an image by tag warns once, whichever containers run it", () => {
    expect(said(testPlan(undefined, undefined, unlocked).policy)).toEqual([
      "warned digests-locked image edge",
    ]);
  });

  test("weights that the lock could not resolve cause a warning, locked ones do not", () => {
    const source = "hf://Qwen/Qwen3-8B-GGUF/q8.gguf";
    const plan = (entry: object) =>
      testPlan(
        { models: { qwen: { engine: "llamacpp", model: source, memoryMiB: 32_768 } } },
        undefined,
        recipes,
        {
          [source]: entry as never,
        },
      );
    expect(said(plan({ unresolved: "The hub does not answer." }).policy)).toEqual([
      "warned weights-locked gpubox:models.qwen.model",
    ]);
    expect(plan({ ...model(8, {}, "gguf") }).policy).toEqual([]);
  });

  test("a model's own port causes a warning only if other hosts reach it", () => {
    const exposed = (bind: string) =>
      testPlan(
        {
          models: {
            tiny: { ...tinyModel.tiny, expose: { port: 8000, bind, key: { secret: "cachePassword" } } },
          },
        },
        undefined,
      ).policy;
    expect(exposed("127.0.0.1")).toEqual([]);
    expect(said(exposed("10.0.0.5"))).toEqual(["warned published-ports container valve-tiny"]);
  });
});

describe("a secret in plaintext", () => {
  test.each([
    [
      "gpubox:models.tiny.env.MY_TOKEN",
      { models: { tiny: { ...tinyModel.tiny, env: { MY_TOKEN: "abcdefghijkl1" } } } },
    ],
    [
      "gpubox:models.tiny.extraArgs[1]",
      { models: { tiny: { ...tinyModel.tiny, extraArgs: ["--admin-api-key", "abcdefghijkl1"] } } },
    ],
    [
      "gpubox:models.tiny.extraArgs[0]",
      { models: { tiny: { ...tinyModel.tiny, extraArgs: ["--hf-token=hf_PLANTED0123456789abc"] } } },
    ],
    [
      "gpubox:models.far.baseUrl",
      { models: { far: { engine: "openai", baseUrl: "http://me:PLANTED@far/v1" } } },
    ],
  ])("at %s is refused at once, by its path and not its value", (path, values) => {
    const problems = problemsOf(() => testPlan(values));
    expect(problems.map((problem) => problem.path)).toContain(path);
    expect(JSON.stringify(problems)).not.toMatch(/PLANTED|abcdefghijkl1/);
  });

  test("appears in no other mistake of the same config either", () => {
    const problems = problemsOf(() =>
      testPlan({
        models: { tiny: { ...tinyModel.tiny, extraArgs: ["--api-key=PLANTED-0123456789"], ctxSize: "x" } },
        gateway: { port: "hf_PLANTED0123456789abc" },
      }),
    );
    const more = problemsOf(() =>
      testPlan({ models: { tiny: { ...tinyModel.tiny, extraArgs: ["--api-key=PLANTED-0123456789"] } } }),
    );
    expect([...problems, ...more].map(({ path, what }) => `${path}: ${what}`)).toEqual(
      expect.arrayContaining([
        'gpubox:gateway.port: "(hidden)" is not valid.',
        'gpubox:models.tiny.extraArgs: "--api-key" is set by gpubox.',
      ]),
    );
    expect(JSON.stringify([problems, more])).not.toContain("PLANTED");
  });

  test("is anything that looks like one, but not a word, number, path or reference", () => {
    const keys = [
      "sk-proj-0123456789abcdef0123",
      "AKIA0123456789ABCDEF",
      "redis://:pw1@h:6379",
      "ghp_0123456789abcdef01",
    ];
    expect(keys.filter((text) => !looksLikeSecret(text))).toEqual([]);
    const values = {
      models: {
        tiny: {
          ...tinyModel.tiny,
          env: { TOKENIZERS_PARALLELISM: "false", API_KEY_FILE: "/run/key", MAX_TOKENS: "100000000000000" },
          extraArgs: ["--rope-scaling", "linear", "--slot-save-path", "/tmp/some-directory"],
        },
      },
      gateway: {
        settings: { general: { alerting: ["slack"] } },
        env: { SLACK_WEBHOOK_URL: { secret: "slackUrl" } },
      },
    };
    expect(testPlan(values, { ...testSecrets, slackUrl: "PLANTED-slack" }).policy).toEqual([]);
  });
});

describe("a config decides", () => {
  test("that a policy does not count, with the reason, which every preview shows", () => {
    const { policy } = testPlan(
      { models: tinyModel, policy: { waive: { "digests-locked": REASON } } },
      undefined,
      unlocked,
    );
    expect(policy.map(({ severity, reason }) => [severity, reason])).toEqual([["waived", REASON]]);
    expect(policyWords(policy)).toEqual([`The policy digests-locked is waived (${REASON}): image edge.`]);
  });

  test("to allow, for a reason, what is refused by default", () => {
    expect(said(judged({ user: "0:0" }, { waive: { "no-root": REASON } }))).toEqual([
      "waived no-root container backend-tiny",
    ]);
    const env = { models: { tiny: { ...tinyModel.tiny, env: { MY_TOKEN: "abcdefghijkl1" } } } };
    const waived = testPlan({
      ...env,
      policy: { waive: { "no-plaintext-secrets": "it is a public test key" } },
    });
    expect(said(waived.policy)).toEqual(["waived no-plaintext-secrets gpubox:models.tiny.env.MY_TOKEN"]);
  });

  test("to refuse what only causes a warning", () => {
    const strict = { models: tinyModel, policy: { refuse: ["digests-locked"] } };
    expect(problemsOf(() => testPlan(strict, undefined, unlocked))).toEqual([
      {
        path: "image edge",
        what: "haproxy:3 is a tag, which can be another image tomorrow.",
        fix: "Run `gpubox images lock` where the registry answers, and commit images/lock.json. Policy digests-locked; gpubox:policy.waive can say why it does not count.",
      },
    ]);
  });

  test("nothing with an unknown name, or without a reason", () => {
    const problems = (policy: object) => problemsOf(() => testPlan({ models: tinyModel, policy }));
    expect(problems({ waive: { "digest-locked": REASON } })).toEqual([
      {
        path: "gpubox:policy.waive.digest-locked",
        what: '"digest-locked" is no setting here.',
        fix: 'Did you mean "digests-locked"?',
      },
    ]);
    expect(problems({ waive: { "no-root": "because" } })).toEqual([
      {
        path: "gpubox:policy.waive.no-root",
        what: '"because" is not valid.',
        fix: "Say why, in a sentence that a reviewer can judge.",
      },
    ]);
    expect(problems({ refuse: ["no-rot"] })[0]?.fix).toBe('Did you mean "no-root"?');
  });
});
