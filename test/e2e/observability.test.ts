import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { dashboards } from "../../configs/plan/observability/dashboards";
import { output } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { allocate } from "../support/allocate";
import { changed, complete, containersOf, editStack, exportsIn, inShell } from "../support/box";
import { engineTexts, leaksIn } from "../support/leaks";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { metricNames, namesIn, query, type Series } from "../support/prometheus";
import { type Receiver, receiverName, startReceiver } from "../support/receiver";
import { pause, until as untilState } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("watch");
const PROMETHEUS = `http://127.0.0.1:${PORT + 3}`;

/** Engines that do not run here; their names are those of their documentation. */
const OTHER_ENGINES = [
  ...["vllm:num_requests_waiting", "sglang:num_queue_reqs", "te_queue_size"],
  ...["vllm:num_requests_running", "sglang:num_running_reqs"],
];

const secrets = {
  alertWebhook: `http://${receiverName(STACK)}:8000/alerts/PLANTED-0123456789`,
  langfusePublic: "pk-PLANTED-0123456789",
  langfuseSecret: "sk-PLANTED-0123456789",
};

const tiny = {
  engine: "llamacpp",
  model: "canned",
  threads: 1,
  memoryMiB: 2048,
  holdSeconds: 1,
  price: { inputPerMillion: 1000, outputPerMillion: 2000 },
};

/** Asks until it is so. The test's own limit is what ends it. */
const until = <Value>(ask: () => Promise<Value>, isSo: (value: Value) => boolean): Promise<Value> =>
  untilState(
    `${isSo}`,
    async () => {
      const value = await ask();
      return isSo(value) && { value };
    },
    { seconds: 1200, everyMs: 500 },
  ).then(({ value }) => value);

needs("docker", "pulumi")("the observability section", () => {
  let project: TestProject;
  let exports: string[];
  let masterKey: string;
  let receiver: Receiver;
  let before: Record<string, string>;
  let traffic = true;
  let driven: Promise<void>;

  const shell = async (command: string) => {
    const result = await inShell(project, exports, command);
    if (result.code !== 0) throw new Error(`${command}: ${result.stdout}${result.stderr}`);
    return result.stdout.trim();
  };
  const up = () => shell(`pulumi up --yes --skip-preview --stack ${STACK}`);
  const ask = (model: string, body: object = {}) =>
    fetch(`${project.endpoint}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${masterKey}`, "content-type": "application/json" },
      body: JSON.stringify({
        model,
        messages: [{ role: "user", content: `ping ${Math.random()}` }],
        max_tokens: 16,
        ...body,
      }),
    }).then((answer) => answer.text());

  /** What clients of a box do all day: whole answers, streams, the same question twice, a model that is not there. */
  async function drive(): Promise<void> {
    while (traffic) {
      await Promise.allSettled([
        ask("tiny"),
        ask("tiny", { stream: true }),
        ask("tiny", { messages: [{ role: "user", content: "the same again" }] }),
        ask("nobody"),
      ]);
      await pause(1000, "clients between two rounds");
    }
  }

  beforeAll(async () => {
    project = makeProject(STACK, PORT, {
      cache: { mode: "bundled", ttlSeconds: 600 },
      database: { mode: "bundled" },
      models: { tiny },
    });
    const first = await gpubox(project, "up", "--yes");
    expect(first.stderr).toBe("");
    exports = exportsIn(first.stdout);
    before = await containersOf(STACK);
    receiver = await startReceiver(project, before.gateway!);
    const values = Object.entries(secrets).map(([name, value]) => `--secret 'gpubox:${name}=${value}'`);
    await shell(`pulumi config set-all ${values.join(" ")} --stack ${STACK}`);
    editStack(project, (config) => {
      (config as Record<string, unknown>)["gpubox:observability"] = {
        mode: "bundled",
        port: PORT + 2,
        prometheusPort: PORT + 3,
        scrapeSeconds: 2,
        alerts: { webhook: { secret: "alertWebhook" } },
        langfuse: {
          host: `http://${receiverName(STACK)}:8000`,
          publicKey: { secret: "langfusePublic" },
          secretKey: { secret: "langfuseSecret" },
        },
      };
    });
    const second = await gpubox(project, "up", "--yes");
    expect(second.stderr).toBe("");
    await output("docker", ["network", "connect", `gpubox-${STACK}-dashboards`, receiverName(STACK)]);
    masterKey = await shell(`pulumi config get gpubox:masterKey --stack ${STACK}`);
    driven = drive();
  }, 10 * MINUTE);
  afterAll(async () => {
    traffic = false;
    await driven;
    removeProject(project);
  }, MINUTE);

  test("turning it on replaced only the gateway, and said what is missing", async () => {
    const now = await containersOf(STACK);
    expect(changed(before, now).filter((name) => name !== "receiver")).toEqual([
      ...["alertmanager", "gateway", "node-exporter", "postgres-exporter", "prometheus", "redis-exporter"],
    ]);
    const note = await shell(`pulumi stack output notes --json --stack ${STACK}`);
    expect(note).toContain("There are no dashboards: Grafana's image could not be had");
  });

  test(
    "a refresh shows no difference",
    async () => {
      const flags = "--refresh --expect-no-changes --diff --non-interactive";
      const seen = await inShell(project, exports, `pulumi preview ${flags} --stack ${STACK}`);
      const changing = seen.stdout
        .split("\n")
        .filter((line) => /^ *(\+-|\+\+|--|\+|-|~) .*\((?!refresh)/.test(line));
      expect([seen.code, changing]).toEqual([0, []]);
    },
    MINUTE,
  );

  test(
    "every target answers",
    async () => {
      const targets = [
        "gateway",
        "edge",
        "valve",
        "backend",
        "redis",
        "postgres",
        "host",
        "prometheus",
        "alertmanager",
      ];
      const seen = await until(
        () => query(PROMETHEUS, "up"),
        (found) => found.length === targets.length && found.every(({ value }) => value === 1),
      );
      expect(seen.map(({ labels }) => labels.job).sort()).toEqual([...targets].sort());
      expect((await query(PROMETHEUS, "redis_up + on () pg_up"))[0]!.value).toBe(2);
    },
    MINUTE,
  );

  test("a gateway shows its metrics only with its key, and no client port leads there", async () => {
    const direct = await output("docker", [
      ...["exec", `gpubox-${STACK}-prometheus`, "sh", "-c"],
      "wget -S -q -O /dev/null http://gateways:4000/metrics/ 2>&1 | grep -m1 HTTP; true",
    ]);
    expect(direct).toContain("401");
    const asked = await fetch(`${project.endpoint}/metrics`, {
      headers: { authorization: `Bearer ${masterKey}` },
    });
    expect(asked.status).toBe(404);
  });

  test(
    "a missing model raises an alert, and its requests count as failures",
    async () => {
      const backend = `gpubox-${STACK}-backend-tiny`;
      await output("docker", ["stop", backend]);
      const pending = 'ALERTS{alertname="ModelDown",model="tiny",instance="tiny"}';
      const failed =
        'sum(litellm_proxy_failed_requests_metric_total{requested_model="tiny",exception_status=~"5.."})';
      await until(
        () => query(PROMETHEUS, pending),
        (found) => found.length === 1,
      );
      await until(
        () => query(PROMETHEUS, failed),
        (found) => (found[0]?.value ?? 0) > 0,
      );
      await output("docker", ["start", backend]);
      await until(
        () => query(PROMETHEUS, pending),
        (found) => found.length === 0,
      );
      expect(
        await until(
          () => complete(project.endpoint, masterKey, "tiny"),
          (text) => text.startsWith("pong"),
        ),
      ).toContain("pong");
    },
    2 * MINUTE,
  );

  test(
    "an alert reaches its receiver through the URL of the secret",
    async () => {
      const soon = Math.floor(Date.now() / 1000) + 86_400;
      // Any metric that lies in that directory is read, also one that names a certificate of somebody else.
      writeFileSync(
        join(project.dataDir, "metrics", "certificate.prom"),
        `gpubox_certificate_expiry_timestamp_seconds{host="box.example"} ${soon}\n`,
      );
      const sent = await until(
        async () => (await receiver.received()).filter(({ path }) => path.startsWith("/alerts")),
        (found) => found.some(({ text }) => text.includes("CertificateExpires")),
      );
      const last = sent.find(({ text }) => text.includes("CertificateExpires"))!;
      expect(last.path).toBe("/alerts/PLANTED-0123456789");
      expect(JSON.parse(last.text)).toMatchObject({
        status: "firing",
        commonLabels: { alertname: "CertificateExpires", host: "box.example", stack: STACK },
        commonAnnotations: { fix: "Renew it: docs/tls.md." },
      });
    },
    2 * MINUTE,
  );

  describe("of each dashboard, every query returns data", () => {
    beforeAll(() => {
      // There is no GPU here: what its exporter would say comes from a file, through the exporter of the host.
      const text = readFileSync(join(packageDir, "test", "support", "dcgm.prom"), "utf8");
      writeFileSync(join(project.dataDir, "metrics", "gpu.prom"), text);
    });

    const isData = (found: Series[]) => found.some(({ value }) => Number.isFinite(value));
    const queries = dashboards.flatMap(({ title, panels }) =>
      panels.flatMap((panel) =>
        panel.queries.map(
          ({ expr }) => [title, panel.title, expr, panel.needs === "gpu" ? " (from a file)" : ""] as const,
        ),
      ),
    );

    test.each(queries)("%s: %s: %s%s", async (_title, _panel, expr) => {
      expect(isData(await until(() => query(PROMETHEUS, expr), isData))).toBe(true);
    });
  });

  test("every metric that a dashboard or a rule names is one that something here exports", async () => {
    const rules = parse(readFileSync(join(project.dataDir, "prometheus", "rules.yml"), "utf8"));
    const expressions: string[] = [
      ...rules.groups[0].rules.map(({ expr }: { expr: string }) => expr),
      ...dashboards.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries.map(({ expr }) => expr))),
    ];
    const named = [...new Set(expressions.flatMap(namesIn))];
    expect(named.length).toBeGreaterThan(40);
    // The time of the last backup is a metric once there is one.
    const backup = await gpubox(project, "backup");
    expect([backup.code, backup.stderr]).toEqual([0, ""]);
    const missing = async () => {
      const known = await metricNames(PROMETHEUS);
      return named.filter((name) => !known.has(name) && !OTHER_ENGINES.includes(name));
    };
    await until(missing, (names) => names.length === 0);
    expect(await missing()).toEqual([]);
  });

  test(
    "Langfuse has a trace of a request, with its keys, the question and the answer",
    async () => {
      const traces = await until(
        async () => (await receiver.received()).filter(({ path }) => path.includes("otel")),
        (found) => found.some(({ text }) => text.includes("the same again") && text.includes("pong from")),
      );
      const basic = Buffer.from(`${secrets.langfusePublic}:${secrets.langfuseSecret}`).toString("base64");
      expect(new Set(traces.map(({ path, authorization }) => `${path} ${authorization}`))).toEqual(
        new Set([`/api/public/otel/v1/traces Basic ${basic}`]),
      );
    },
    MINUTE,
  );

  test("no secret appears in the engine's data on the containers, nor in Prometheus's own pages", async () => {
    const { inspect, logs } = await engineTexts(STACK);
    const pages = await Promise.all(
      ["status/config", "status/flags", "targets"].map(async (page) =>
        (await fetch(`${PROMETHEUS}/api/v1/${page}`)).text(),
      ),
    );
    const planted = { ...secrets, masterKey };
    expect([
      ...leaksIn("inspect", inspect, planted),
      ...leaksIn("logs", logs, planted),
      ...leaksIn("pages", pages.join("\n"), planted),
    ]).toEqual([]);
  });

  test(
    "a change is recorded, and Prometheus finds the new generation and the new model by itself",
    async () => {
      const old = await query(PROMETHEUS, "gpubox_change_timestamp_seconds");
      const running = await containersOf(STACK);
      editStack(project, (config) => {
        (config as Record<string, Record<string, unknown>>)["gpubox:models"]!.more = {
          ...tiny,
          price: undefined,
        };
      });
      await up();
      const [more] = await until(
        () => query(PROMETHEUS, 'up{job="valve",model="more"}'),
        (found) => found[0]?.value === 1,
      );
      expect(more!.labels).toMatchObject({ instance: "more", start: "auto" });
      const [noted] = await until(
        () => query(PROMETHEUS, "gpubox_change_timestamp_seconds"),
        (found) => found.length === 1 && found[0]!.labels.change !== old[0]!.labels.change,
      );
      expect(noted!.value).toBeGreaterThan(old[0]!.value);
      const generation = await output("docker", [
        ...["inspect", "--format", '{{index .Config.Labels "gpubox.generation"}}'],
        (await containersOf(STACK)).gateway!,
      ]);
      expect(noted!.labels.generation).toBe(generation);
      await until(
        () => query(PROMETHEUS, 'count(up{job="gateway"} == 1)'),
        (found) => found[0]?.value === 1,
      );
      expect(changed(running, await containersOf(STACK))).toEqual(["backend-more", "gateway", "valve-more"]);
    },
    6 * MINUTE,
  );
});
