import { parseStack } from "../../../configs/parse";
import { imageRolesOf } from "../../../configs/stack/neededImages";
import { gpuHost, refusals, served } from "../../support/engines";
import { rawStack, testPlan, testSecrets } from "../../support/stacks";

const server = {
  engine: "container",
  image: { repository: "ghcr.io/acme/server", tag: "v1" },
  command: ["python3", "serve.py", "--port", "8188"],
  port: 8188,
  healthPath: "/system_stats",
};
const own = {
  ...server,
  api: "own",
  routes: ["/prompt", "/history/"],
  expose: { port: 18_188, key: { secret: "painterKey" } },
};
const secrets = { ...testSecrets, painterKey: "sk-painter-0123456789abcdef0123456789" };

test("an entry is a whole container, as hardened as every other", () => {
  const { container, valve } = served(server);
  expect(container).toMatchObject({
    image: "ghcr.io/acme/server:v1",
    entrypoint: ["python3"],
    command: ["serve.py", "--port", "8188"],
    ...{ user: "65534:65534", readOnly: true, init: true, env: { HOME: "/cache" } },
    networks: { backends: ["backend-m"] },
    ...{ ports: [], memoryMiB: 4096, stopGraceSeconds: 30 },
  });
  const text = String(valve.directory.files["haproxy.cfg"]!.text[0]);
  expect([...text.matchAll(/acl open_route .* (\S+)$/gm)].map(([, route]) => route)).toEqual([
    ...["/v1/models", "/v1/models/", "/v1/chat/completions", "/v1/completions"],
    ...["/v1/responses", "/v1/responses/"],
  ]);
  expect(text).toContain("http-check send meth GET uri /system_stats hdr Host backend-m");
  expect(text).toContain("server backend backend-m:8188");
});

test("its image is locked and resolved like one that a model names itself", () => {
  const config = parseStack(rawStack({ models: { m: server } }));
  expect(imageRolesOf(config).filter(({ model }) => model)).toEqual([
    { role: "ghcr.io/acme/server:v1", model: "m" },
  ]);
  expect(testPlan({ models: { m: server } }).policy).toEqual([
    expect.objectContaining({ policy: "digests-locked", path: "gpubox:models.m.image" }),
  ]);
});

test("the gateway asks it as a server of OpenAI's API, with a key where it takes one", () => {
  expect(served(server).deployment.litellm_params).toMatchObject({
    ...{ model: "hosted_vllm/m", api_key: "none" },
    api_base: expect.stringMatching(/^http:\/\/valve-m:\d+\/v1$/),
  });
  const { container, service, deployment } = served({
    ...{ ...server, model: "acme-1", mode: "audio_speech", keyVariable: "ACME_KEY" },
  });
  expect(deployment.litellm_params).toMatchObject({
    ...{ model: "openai/acme-1", api_key: "os.environ/GPUBOX_BACKEND_KEY" },
  });
  expect(container.entrypoint).toEqual(["sh", "/etc/gpubox/with-env.sh", "python3"]);
  expect(service.directory.files["backend.env"]!.text).toEqual([
    "ACME_KEY=",
    { secret: "saltKey", as: "shell-derived" },
    "\n",
  ]);
});

test("a GPU is its own only, and it says itself how much of it it needs", () => {
  const gpu = { devices: [2], memoryGiB: 12 };
  expect(served({ ...server, gpu }).container).toMatchObject({ gpu: { vendor: "nvidia", ids: ["2"] } });
  expect(refusals({ ...server, gpu: { devices: [2] } }, { locks: {} })).toEqual([
    "gpu.memoryGiB: The size of its model is unknown. Say how many GiB it needs on each device.",
  ]);
});

test("a server with an API of its own has a valve and a port, and no gateway knows it", () => {
  const plan = testPlan({ host: gpuHost, models: { own, other: server } }, secrets);
  expect(plan.models).toEqual(["other"]);
  expect(Object.keys(plan.gateway.modelHashes)).toEqual(["other"]);
  expect(plan.backends.map(({ model }) => model)).toEqual(["other", "own"]);
  const text = String(plan.backends[1]!.valve.directory.files["haproxy.cfg"]!.text[0]);
  expect(new Set([...text.matchAll(/acl open_route .* (\S+)$/gm)].map(([, route]) => route))).toEqual(
    new Set(own.routes),
  );
  expect(plan.backends[1]!.valve.container.ports).toEqual([
    { bind: "127.0.0.1", port: 18_188, containerPort: 4003 },
  ]);
});

test.each([
  [{ ...server, image: undefined }, "image: It is missing."],
  [{ ...server, command: [] }, "command: "],
  [
    { ...server, user: "0:0" },
    'user: "0:0" is not valid. Write uid:gid in numbers, for example 1000:1000; root is refused.',
  ],
  [
    { ...server, healthPath: "/a b" },
    'healthPath: "/a b" is not valid. Write a plain path, for example /prompt.',
  ],
  [{ ...server, routes: ["prompt"] }, 'routes[0]: "prompt" is not valid. Write a path,'],
  [{ ...server, extraArgs: ["--x"] }, "extraArgs: "],
  [
    { ...own, routes: undefined },
    "routes: It is missing: which paths an API of its own has, only you know. List the paths that clients may use: [/prompt, /history/].",
  ],
  [
    { ...own, expose: undefined },
    "expose: It is missing: without a gateway, nobody would reach the server. Give it a port and a key: expose: { port: 8188, key: { secret: painterKey } }.",
  ],
  [
    { ...own, aliases: ["p"] },
    "aliases: It means nothing with api: own, because no gateway serves it. Remove it, or write api: openai.",
  ],
  [
    { ...own, mode: "embedding" },
    "mode: It means nothing with api: own, because no gateway serves it. Remove it, or write api: openai.",
  ],
])("%j is refused at its key", (wrong, at) => {
  expect(refusals(wrong, { secrets: { painterKey: secrets.painterKey } })).toEqual([
    expect.stringContaining(at),
  ]);
});
