import { parse } from "yaml";
import { parseStack } from "../../../configs/parse";
import { servicesOf } from "../../../configs/plan/box";
import { composeFile } from "../../../operations/compose/composeFile";
import { fileOf, names, observed, online, problemsOf, secrets, serviceOf } from "../../support/observed";
import { rawStack, testPlan, tinyModel } from "../../support/stacks";

const STORES = ["langfuse-database", "langfuse-cache", "langfuse-clickhouse", "langfuse-files"];
const LANGFUSE = [...STORES, "langfuse-worker", "langfuse"];

const values = (langfuse: object = {}, more: object = {}) => ({
  models: tinyModel,
  ...more,
  observability: { langfuse: { mode: "bundled", ...langfuse } },
});
const plan = testPlan(values(), secrets, online);
/** `NAME='value'` lines of a container's file. */
const variables = (service: string, file = "backend.env") =>
  Object.fromEntries(
    [...fileOf(plan, service, file).matchAll(/^(\w+)='(.*)'$/gm)].map(([, name, value]) => [name, value]),
  );

test("one line brings Langfuse with its database, stores and worker, and needs no metrics", () => {
  expect(names(plan).filter((name) => name.startsWith("langfuse"))).toEqual(LANGFUSE);
  expect(names(plan)).not.toContain("prometheus");
  expect(plan.observability!.change).toBeUndefined();
  const all = testPlan(observed({}, { langfuse: { mode: "bundled" } }), secrets, online);
  expect(names(all)).toEqual(expect.arrayContaining(["prometheus", ...LANGFUSE]));
});

test("the gateway sends its traces with the keys that Langfuse makes of its first start", () => {
  expect(parse(fileOf(plan, "gateway", "config.yaml")).litellm_settings.callbacks).toEqual([
    "gpubox_guard.instance",
    "langfuse_otel",
  ]);
  const gateway = variables("gateway", "gateway.env");
  const pages = variables("langfuse");
  expect(gateway.LANGFUSE_OTEL_HOST).toBe("http://langfuse:3000");
  expect(gateway.LANGFUSE_PUBLIC_KEY).toMatch(/^pk-lf-[0-9a-f]{64}$/);
  expect(gateway.LANGFUSE_SECRET_KEY).toMatch(/^sk-lf-[0-9a-f]{64}$/);
  expect(pages.LANGFUSE_INIT_PROJECT_PUBLIC_KEY).toBe(gateway.LANGFUSE_PUBLIC_KEY);
  expect(pages.LANGFUSE_INIT_PROJECT_SECRET_KEY).toBe(gateway.LANGFUSE_SECRET_KEY);
});

test("each store has a password of its own, which pages and worker know", () => {
  const passwords = [
    fileOf(plan, "langfuse-database", "password"),
    fileOf(plan, "langfuse-cache", "password"),
    variables("langfuse-clickhouse").CLICKHOUSE_PASSWORD,
    variables("langfuse-files").MINIO_ROOT_PASSWORD,
  ];
  expect(new Set(passwords).size).toBe(4);
  for (const service of ["langfuse", "langfuse-worker"]) {
    const { CLICKHOUSE_PASSWORD, DATABASE_URL, REDIS_AUTH, ...rest } = variables(service);
    expect([
      /^postgresql:\/\/langfuse:(\w+)@langfuse-database:5432\/langfuse$/.exec(DATABASE_URL!)![1],
      REDIS_AUTH,
      CLICKHOUSE_PASSWORD,
      rest.LANGFUSE_S3_EVENT_UPLOAD_SECRET_ACCESS_KEY,
    ]).toEqual(passwords);
    expect(rest.ENCRYPTION_KEY).toMatch(/^[0-9a-f]{64}$/);
  }
  expect(variables("langfuse").LANGFUSE_INIT_USER_PASSWORD).toBe(secrets.langfusePassword);
});

test("its stores are in a network of its own without a way out; only its pages are in another", () => {
  const networks = Object.fromEntries(
    LANGFUSE.map((name) => [name, Object.keys(serviceOf(plan, name).container.networks)]),
  );
  for (const name of [...STORES, "langfuse-worker"]) expect(networks[name]).toEqual(["langfuse"]);
  expect(networks.langfuse).toEqual(["langfuse", "edge"]);
  expect(plan.networks.find(({ role }) => role === "langfuse")).toMatchObject({ internal: true });
  const ports = LANGFUSE.flatMap((name) => serviceOf(plan, name).container.ports);
  expect(ports).toEqual([{ bind: "127.0.0.1", port: 3001, containerPort: 3000 }]);
});

test("what it holds outlives its containers", () => {
  const volumes = LANGFUSE.flatMap((name) => serviceOf(plan, name).volume?.name ?? []);
  expect(volumes).toEqual(["gpubox-test-langfuse-database", "gpubox-test-langfuse-clickhouse"]);
  expect(serviceOf(plan, "langfuse-files").writable).toEqual([
    { path: "/srv/gpubox/langfuse-files-state", uid: 65532, gid: 65532 },
  ]);
});

test("none of its containers runs as root", () => {
  for (const name of LANGFUSE) expect(serviceOf(plan, name).container.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
});

test("no secret stands in a container's configuration or in the Compose file", () => {
  const derived = variables("langfuse").REDIS_AUTH!;
  for (const text of [
    JSON.stringify(servicesOf(plan).map(({ container }) => container)),
    composeFile(plan),
  ]) {
    expect(text).not.toContain("PLANTED");
    expect(text).not.toContain(derived);
  }
});

test("turning it on touches no backend, and neither Redis nor Postgres of the gateways", () => {
  const off = testPlan({ models: tinyModel }, secrets, online);
  for (const name of ["cache", "database", "edge", "valve-tiny", "backend-tiny"])
    expect(serviceOf(plan, name).container).toEqual(serviceOf(off, name).container);
});

describe("a mistake is told with its path", () => {
  const { langfusePassword: _, ...without } = secrets;

  test.each([
    [
      "no password",
      values(),
      without as typeof secrets,
      ["gpubox:observability.langfuse: The secret langfusePassword is missing."],
    ],
    [
      "a port of the gateway",
      values({ port: 4001 }),
      secrets,
      ["gpubox:observability.langfuse.port: Port 4001 belongs to gpubox:gateway.adminPort."],
    ],
  ])("%s", (_name, config, known, problems) => {
    expect(problemsOf(config, known)).toEqual(problems);
  });

  test("a mode that there is not, with the nearest that there is", () => {
    const wrong = rawStack(values({ mode: "bundeld" }), secrets);
    expect(() => parseStack(wrong)).toThrow(
      'gpubox:observability.langfuse.mode: "bundeld" is not valid. Did you mean "bundled"?',
    );
  });
});
