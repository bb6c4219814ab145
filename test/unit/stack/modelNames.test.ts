import { createHash } from "node:crypto";
import fc from "fast-check";
import { parse } from "yaml";
import { renderText } from "../../../configs/kit/text";
import { parseStack } from "../../../configs/parse";
import { startCommand } from "../../../configs/plan/manual";
import { modelName } from "../../../configs/schema/shared";
import { modelSlug } from "../../../configs/stack/instances";
import { composeFile } from "../../../operations/compose/composeFile";
import { mentions } from "../../../operations/logs/logLines";
import { everyImage } from "../../support/engines";
import { rawStack, testPlan, testSecrets } from "../../support/stacks";

const local = { engine: "llamacpp", model: "canned" };
const far = { engine: "openai", baseUrl: "http://far.example/v1" };
const names = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._:/@+[\]-]{0,127}$/);

test.each(["m@q4", "a+b", "claude-x[1m]", "org/model:tag"])("%s is a model's name", (name) => {
  expect(modelName.safeParse(name).success).toBe(true);
});

test.each(["-m", "m n", "m,n", "m*", "m$", "m'", "ü", "", "m".repeat(129)])(
  "%j is no model's name",
  (name) => {
    expect(modelName.safeParse(name).success).toBe(false);
  },
);

test("a name of before makes the same containers as before; a variant's ends in a hash of its own", () => {
  expect(["qwen3-coder", "Org/Model.v2:tag_x", "a--b"].map(modelSlug)).toEqual([
    "qwen3-coder",
    "org-model-v2-tag-x",
    "a-b",
  ]);
  const hash = createHash("sha256").update("m@q4").digest("hex").slice(0, 6);
  expect(modelSlug("m@q4")).toBe(`m-q4-${hash}`);
  expect(new Set(["m@q4", "m+q4", "m[q4]", "m-q4"].map(modelSlug)).size).toBe(4);
});

test("whatever the name, Docker takes the container's, DNS the alias, and HAProxy, YAML and a shell the text", () => {
  fc.assert(
    fc.property(names, (name) => {
      const plan = testPlan({ models: { [name]: local } }, testSecrets, everyImage);
      const [{ service, valve }] = plan.backends as [(typeof plan.backends)[number]];
      for (const { container, directory } of [service, valve]) {
        expect(container.name).toMatch(/^[a-z0-9][a-z0-9-]{0,62}$/);
        expect(container.networks.backends ?? []).toEqual(
          container === service.container ? [container.name] : [],
        );
        expect(directory.path).toBe(`/srv/gpubox/${container.name}`);
      }
      const { text } = valve.directory.files["haproxy.cfg"]!;
      const answers = renderText(text, testSecrets)
        .split("\n")
        .filter((line) => line.includes("is not available"));
      expect(answers.length).toBeGreaterThan(3);
      for (const line of answers) expect(line).toContain(`Model ${name} is not available`);
      const config = parse(renderText(plan.gateway.directory.files["config.yaml"]!.text, testSecrets));
      expect(config.model_list[0]).toMatchObject({
        model_name: name,
        litellm_params: { model: `hosted_vllm/${name}` },
        model_info: { id: name },
      });
      expect(Object.keys(parse(composeFile(plan)).services)).toContain(service.container.name);
      expect(mentions(`asked ${name}, then`, [name])).toBe(true);
      expect(startCommand("dev", name)).toBe(
        `gpubox model start ${/[[\]]/.test(name) ? `'${name}'` : name} --stack dev`,
      );
    }),
    { numRuns: 50 },
  );
});

test("one name within another is not mentioned", () => {
  expect(["m@q4", "x+m", "m[1m]", "m+b"].filter((text) => mentions(text, ["m"]))).toEqual([]);
});

test("any two names have containers of their own, or the clash is told", () => {
  fc.assert(
    fc.property(names, names, (one, other) => {
      fc.pre(one !== other);
      const clash = modelSlug(one) === modelSlug(other);
      const box = () => parseStack(rawStack({ models: { [one]: local, [other]: local } }));
      if (clash) expect(box).toThrow("Its container would have the same name");
      else expect(box).not.toThrow();
    }),
  );
});

test("servers that run elsewhere have no containers that could clash, and a server of the box clashes with none of them", () => {
  expect(() => parseStack(rawStack({ models: { "a.b": far, "a-b": far, "a/b": local } }))).not.toThrow();
  expect(() => parseStack(rawStack({ models: { "a.b": local, "a-b": local } }))).toThrow(
    'gpubox:models.a.b: Its container would have the same name as that of "a-b".',
  );
});

test("no two servers are counted as one", () => {
  const models = { m: { engine: "openai", instances: [{ baseUrl: far.baseUrl }] }, "m-1": far };
  expect(() => parseStack(rawStack({ models }))).toThrow(
    'gpubox:models.m-1: Its server would be counted as "m-1", like another one. Rename the model, or give the instance another `name`.',
  );
});
