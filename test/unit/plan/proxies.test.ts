import { renderText } from "../../../configs/kit/text";
import { testPlan, testSecrets, tinyModel } from "../../support/stacks";

function environmentOf(env: Record<string, unknown>, secrets: Record<string, string> = {}): string[] {
  const values = { ...testSecrets, ...secrets };
  const plan = testPlan({ gateway: { env }, models: tinyModel }, values);
  return renderText(plan.gateway.directory.files["gateway.env"]!.text, values)
    .split("\n")
    .filter((line) => /^no_proxy=/i.test(line));
}

const OWN = "localhost,127.0.0.1,::1,host.docker.internal,cache,database,valve-tiny";

test.each(["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])("%s leaves out what is in the box", (name) => {
  expect(environmentOf({ [name]: "http://proxy.example:3128" })).toEqual([
    `NO_PROXY='${OWN}'`,
    `no_proxy='${OWN}'`,
  ]);
});

test("names that the config keeps from the proxy stay, also from a secret", () => {
  const env = { HTTP_PROXY: { secret: "proxy" }, NO_PROXY: ".example.com" };
  const secrets = { proxy: "http://me:PLANTED@proxy:1", names: "it's" };
  expect(environmentOf(env, secrets)).toEqual([
    `NO_PROXY='${OWN},''.example.com'`,
    `no_proxy='${OWN},''.example.com'`,
  ]);
  expect(environmentOf({ ...env, NO_PROXY: { secret: "names" } }, secrets)).toEqual([
    `NO_PROXY='${OWN},''it'\\''s'`,
    `no_proxy='${OWN},''it'\\''s'`,
  ]);
});

test("without a proxy nothing is added", () => {
  expect(environmentOf({ LANGFUSE_HOST: "https://langfuse.example" })).toEqual([]);
  expect(environmentOf({ NO_PROXY: "x" })).toEqual(["NO_PROXY='x'"]);
});
