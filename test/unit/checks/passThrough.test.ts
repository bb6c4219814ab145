import known from "../../../configs/litellm/keys.json";
import { mistakesOf } from "../../support/mistakes";

const route = (path: string, entry: Record<string, unknown> = {}) =>
  mistakesOf({ gateway: { passThrough: { [path]: { target: "http://rank:8000/rank", ...entry } } } });

test("a route of the stack's own is taken", () => {
  expect(route("/rank")).toEqual([]);
  expect(route("/my/rank", { subpaths: true, methods: ["GET", "POST"], timeoutSeconds: 30 })).toEqual([]);
});

test.each([...known.route_roots.filter((root) => /^[\w.~-]+$/.test(root)), "metrics", "docs"])(
  "/%s is LiteLLM's own, and stays closed",
  (root) => {
    for (const path of [`/${root}`, `/${root}/below`])
      expect(route(path)).toEqual([
        `gpubox:gateway.passThrough.${path}: LiteLLM 1.106.0 has routes of its own below /${root}. Choose another first part, for example /my${path}.`,
      ]);
  },
);

test.each(["rank", "/rank/", "/", "/a//b", "/a/../key", "/a/./b", "/a b", "/a?b", "/a*"])(
  "%s is no path of a route",
  (path) => {
    expect(route(path)).toEqual([expect.stringContaining("Write the route's path, for example /rank")]);
  },
);

test.each([
  ["rank:8000", "is not an http or https URL"],
  ["ftp://rank/x", "is not an http or https URL"],
  ["http://u:p@rank/x", "The URL carries credentials"],
  ["http://localhost:8000/rank", "write http://host.docker.internal:8000/rank."],
])("the target %s is refused", (target, said) => {
  expect(route("/rank", { target })).toEqual([expect.stringContaining(said)]);
});

test("a route below another that takes everything below it, and a header that is set twice, are refused", () => {
  const target = "http://rank:8000";
  expect(
    mistakesOf({ gateway: { passThrough: { "/a": { target, subpaths: true }, "/a/b": { target } } } }),
  ).toEqual(["gpubox:gateway.passThrough./a/b: /a already takes what lies below it. Write one of them."]);
  const twice = { apiKey: { secret: "rankKey" }, headers: { authorization: "x" } };
  expect(
    mistakesOf({ gateway: { passThrough: { "/a": { target, ...twice } } } }, {}, { rankKey: "PLANTED-rank" }),
  ).toEqual([
    "gpubox:gateway.passThrough./a.headers.authorization: `apiKey` sets this field. Write one of them.",
  ]);
});

test.each([
  [{ settings: { general: { pass_through_endpoints: [] } } }, "Use gpubox:gateway.passThrough"],
  [{ settings: { credential_list: [] } }, "Write apiKey: { secret: <its name> } at each of the models"],
  [{ credential_list: [] }, "Write apiKey: { secret: <its name> } at each of the models"],
  [{ mcp_servers: {} }, "Give clients the address of the MCP server itself."],
  [{ settings: { litellm: { mcp_servers: {} } } }, "Give clients the address of the MCP server itself."],
  [{ settings: { prompts: [] } }, "Keep prompts in the client."],
  [{ settings: { litellm: { global_prompt_directory: "/x" } } }, "Keep prompts in the client."],
  [{ settings: { model_list: [] } }, "Use gpubox:models."],
  [{ settings: { litellm_settings: {} } }, "Use gpubox:gateway.settings.litellm."],
])("%j is refused with the way round", (gateway, said) => {
  expect(mistakesOf({ gateway })).toEqual([expect.stringContaining(said)]);
});
