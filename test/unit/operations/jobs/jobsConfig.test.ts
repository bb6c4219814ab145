import { expiry, isExpired, jobState } from "../../../../operations/jobs/record";
import { contextWith, problemsOf, remote } from "../../../support/jobPlans";
import { tinyModel } from "../../../support/stacks";

test.each<[string, Record<string, unknown>, string]>([
  [
    "a name that is no safe path",
    { "../etc": remote },
    'gpubox:jobs.../etc: "../etc" cannot be a name here. A job\'s name is letters, digits and . _ -, at most 63 characters, and begins with a letter or digit.',
  ],
  [
    "the port of the gateway",
    { eval: { ...remote, port: 4000 } },
    "gpubox:jobs.eval.port: Port 4000 belongs to gpubox:gateway.port. Give each job a free port of its own.",
  ],
  [
    "the port of another job",
    { a: remote, b: remote },
    "gpubox:jobs.b.port: Port 4101 belongs to gpubox:jobs.a.port. Give each job a free port of its own.",
  ],
  [
    "a model that this box lacks",
    { eval: { ...remote, upstream: { box: "tony" } } },
    'gpubox:jobs.eval.upstream.box: This box has no model "tony". Name one of these, or write baseUrl and model: tiny, vectors.',
  ],
  [
    "a model that cannot chat",
    { eval: { ...remote, upstream: { box: "vectors" } } },
    "gpubox:jobs.eval.protocols: vectors serves mode: embedding and cannot answer openai_compatible or anthropic_compatible, which are chats. Name a model that chats.",
  ],
  [
    "loopback, which would be the container's",
    { eval: { ...remote, upstream: { ...remote.upstream, baseUrl: "http://localhost:8000/v1" } } },
    "gpubox:jobs.eval.upstream.baseUrl: localhost is the gateway container's own loopback, not the host's. Let the server listen on the Docker bridge and write http://host.docker.internal:8000/v1.",
  ],
  [
    "a base URL without its version",
    { eval: { ...remote, upstream: { ...remote.upstream, baseUrl: "http://far:8000" } } },
    'gpubox:jobs.eval.upstream.baseUrl: "http://far:8000" does not end in /v1. Write http://far:8000/v1.',
  ],
  [
    "a key in plain text",
    { eval: { ...remote, key: "sk-real" } },
    "gpubox:jobs.eval.key: A key in plain text is not valid. Put a real key into a secret and write { secret: <its name> }; only dummy-… may stand here.",
  ],
  [
    "a secret that is not set",
    { eval: { ...remote, key: { secret: "evalKey" } } },
    "gpubox:jobs.eval.key: The secret evalKey is missing. Set it: pulumi config set --secret gpubox:evalKey.",
  ],
  [
    "a key in plain text among the variables",
    { eval: { ...remote, extra: { OPENAI_API_KEY: "sk-real" } } },
    "gpubox:jobs.eval.extra.OPENAI_API_KEY: The value would stand in plaintext. Put it into a secret and write { secret: <its name> }.",
  ],
  [
    "a variable that is gpubox's",
    { eval: { ...remote, extra: { DATABASE_URL: "x" } } },
    "gpubox:jobs.eval.extra.DATABASE_URL: DATABASE_URL is set by gpubox. Use nothing: a job has no database.",
  ],
  [
    "a name twice",
    { eval: { ...remote, aliases: ["GLM-5-FP8"] } },
    'gpubox:jobs.eval: "GLM-5-FP8" is named twice. Let the model\'s name, its aliases and the sticky-routing aliases differ.',
  ],
  [
    "a typo",
    { eval: { ...remote, portt: 1 } },
    'gpubox:jobs.eval.portt: "portt" is no setting here. Did you mean "port"?',
  ],
  [
    "a protocol that there is not",
    { eval: { ...remote, protocols: ["openai"] } },
    "gpubox:jobs.eval.protocols[0]",
  ],
])("%s is refused at preview", (_, jobs, expected) => {
  const models = {
    ...tinyModel,
    vectors: { engine: "openai", baseUrl: "http://far:8000/v1", mode: "embedding" },
  };
  const [problem, ...more] = problemsOf(jobs, { models });
  expect(more).toEqual([]);
  expect(problem!.slice(0, expected.length)).toBe(expected);
});

test("what the seed's own configuration says of sticky routing may stand in extra", () => {
  expect(problemsOf({ eval: { ...remote, extra: { LITELLM_STICKY_ROUTING_ALIASES: "" } } })).toEqual([]);
});

test("declared jobs change nothing of the box", () => {
  const context = contextWith({ eval: remote });
  expect(JSON.stringify(context.config.gateway)).toBe(JSON.stringify(contextWith({}).config.gateway));
});

test("a job expires at its declared end, and never without one", () => {
  const started = new Date("2026-11-21T12:00:00Z");
  const end = expiry(started, 3600)!;
  expect(end).toBe("2026-11-21T13:00:00.000Z");
  expect([
    isExpired(end, new Date("2026-11-21T12:59:59.999Z")),
    isExpired(end, new Date(end)),
    isExpired(expiry(started, undefined), new Date("2126-01-01")),
  ]).toEqual([false, true, false]);
});

test("a job is lost when its record says that it runs but its container is gone", () => {
  const record = { stoppedAt: null } as never;
  const stopped = { stoppedAt: "2026-11-21T12:00:00Z" } as never;
  expect([
    jobState("running", record),
    jobState("restarting", record),
    jobState(undefined, record),
    jobState(undefined, stopped),
    jobState("running", undefined),
  ]).toEqual(["running", "ailing", "lost", "stopped", "running"]);
});
