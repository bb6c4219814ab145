import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { Ward } from "../e2e/operations/lab";
import { allocate, scratch } from "../support/allocate";
import { answerGarbage } from "../support/garbage";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { pause, until } from "../support/wait";
import { Clients } from "./faults/clients";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("faulttable");
const HANG_SECONDS = 5;
/** Seconds within which every row heals, on a busy machine. */
const HEALED_SECONDS = 120;

const PARTS = ["edge", "gateway", "valve-core", "backend-core", "cache", "database"] as const;
type Part = (typeof PARTS)[number];

/** The row of the doctor that names a part while it is down. */
const ROWS: Record<Part, string> = {
  edge: "edge",
  gateway: "gateway",
  "valve-core": "model",
  "backend-core": "model",
  cache: "redis",
  database: "postgres",
};

type Fault = (container: string) => Promise<unknown>;

const numbers = (text: string) => text.split(/\s+/).map(Number).filter(Boolean);
/** Processes of a container, as the host knows them. */
const processes = async (container: string) =>
  numbers(await output("docker", ["top", container, "-eo", "pid"]));
const inside = (container: string, script: string) =>
  output("docker", ["exec", container, "sh", "-c", script]);

/** What is done to a part; from the host, because a signal through Docker counts as a person's stop. */
const killed: Fault = async (container) => {
  const pid = await output("docker", ["inspect", "--format", "{{.State.Pid}}", container]);
  process.kill(Number(pid), "SIGKILL");
};
const stopped: Fault = async (container) => {
  for (const pid of await processes(container)) process.kill(pid, "SIGSTOP");
};

const TABLE: [Part, string, Fault][] = [
  ...PARTS.flatMap((part): [Part, string, Fault][] => [
    [part, "killed", killed],
    [part, "stopped by a signal", stopped],
  ]),
  ...(["edge", "gateway", "valve-core"] as const).map((part): [Part, string, Fault] => [
    part,
    "answering garbage",
    answerGarbage,
  ]),
  ["backend-core", "with a dead core", (container) => inside(container, "echo dead >/tmp/core")],
  ["backend-core", "answering garbage", (container) => inside(container, "echo garbage >/tmp/core")],
  [
    "cache",
    "answering what nobody asked for",
    (container) =>
      inside(
        container,
        'REDISCLI_AUTH="$(cat /etc/gpubox/password)" redis-cli config set requirepass other >/dev/null',
      ),
  ],
  [
    "database",
    "that does not know its owner's password",
    (container) =>
      output("docker", [
        ...["exec", container, "psql", "-h", "/tmp", "-U", "postgres", "-qc"],
        "alter role litellm password 'other'",
      ]),
  ],
];

const DOCKERFILE = `ARG BASE
FROM \${BASE}
COPY core.py /stub/core.py
RUN printf '#!/bin/sh\\nexec /usr/bin/python3 /stub/core.py "$@"\\n' > /app/llama-server && chmod 0755 /app/llama-server
`;

needs(
  "docker",
  "pulumi",
  "root",
)("each part with each fault, under one request a second and a long stream", () => {
  const image = { repository: `localhost:1/${STACK}/core`, tag: "v1" };
  const reference = `${image.repository}:${image.tag}`;
  let project: TestProject;
  let ward: Ward;

  const containerOf = async (part: Part) => {
    const filters = [`label=gpubox.stack=${STACK}`, `label=gpubox.role=${part}`];
    const words = filters.flatMap((one) => ["--filter", one]);
    return (await output("docker", ["ps", "--format", "{{.Names}}", ...words])).trim();
  };
  const isWell = async (part: Part) => {
    const container = await containerOf(part);
    if (!container) return false;
    const test = await output("docker", [
      "inspect",
      "--format",
      "{{json .Config.Healthcheck.Test}}",
      container,
    ]);
    const [, ...command] = JSON.parse(test) as string[];
    const look = ["exec", "--env", "GPUBOX_ONLY_ASKS=1", container, "timeout", "5", ...command];
    return (await run("docker", look)).code === 0;
  };
  /** Findings of the doctor's that are about a part. */
  const named = async (part: Part) => {
    const container = await containerOf(part);
    const found = await ward.findings(new Date().toISOString());
    return found.filter((one) => one.startsWith(`${ROWS[part]}: `) || (container && one.includes(container)));
  };

  beforeAll(async () => {
    const context = scratch("faults-core");
    cpSync(join(packageDir, "test/e2e/deviceLock/core.py"), join(context, "core.py"));
    writeFileSync(join(context, "Dockerfile"), DOCKERFILE);
    const base = `BASE=${recipeReference(packageDir, "llamacpp")}`;
    await output("docker", ["build", "--quiet", "--build-arg", base, "--tag", reference, context]);
    project = makeProject(STACK, PORT, {
      gateway: { port: PORT, drainTimeout: 10 },
      database: { mode: "bundled" },
      models: {
        core: { engine: "llamacpp", model: "canned", image, memoryMiB: 512, hangSeconds: HANG_SECONDS },
      },
    });
    const up = await gpubox(project, "up", "--yes");
    expect(up.code === 0 ? "" : up.stdout + up.stderr).toBe("");
    ward = await Ward.open(project);
  }, 20 * MINUTE);
  afterAll(async () => {
    removeProject(project);
    await run("docker", ["image", "rm", reference]);
  }, MINUTE);

  test.each(TABLE)(
    "%s %s heals without a hand",
    async (part, fault, cause) => {
      const clients = new Clients(project.endpoint, ward.secrets.masterKey!, "core");
      try {
        await until("it is served", () => clients.isServed(0), { seconds: 60 });
        await until("it is well", () => isWell(part));
        const container = await containerOf(part);
        const began = Date.now();
        await cause(container);
        const seen = await named(part);
        // A fault that no request meets shows in the part alone.
        const healed = await until(
          "it is healed",
          async () => (await isWell(part)) && clients.isServed(began) && Date.now(),
          { seconds: HEALED_SECONDS, everyMs: 500 },
        );
        // Those that were in flight end, or are held by nobody any more.
        await pause(1000, "a last request ends");
        const later = [...seen, ...(await named(part))];
        const during = clients.asks.filter(({ at }) => at > began - 1000);
        const failed = during.filter(({ status }) => status !== 200);
        const statuses = [...new Set(failed.map(({ status }) => status))].sort();
        const longest = Math.max(...during.map(({ seconds }) => seconds));
        process.stdout.write(
          `${[
            ...["", part, fault, `${during.length - failed.length} of ${during.length}`],
            ...[failed.length === 0 ? "–" : `${failed.length} × ${statuses.join(", ")}`, longest.toFixed(1)],
            ...[clients.streamBroke === undefined ? "whole" : "broke", ((healed - began) / 1000).toFixed(0)],
            ...[later[0] ?? "no", ""],
          ].join(" | ")}\n`,
        );
        expect(later).not.toEqual([]);
      } finally {
        clients.end();
      }
    },
    5 * MINUTE,
  );
});
