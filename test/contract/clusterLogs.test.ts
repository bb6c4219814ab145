import { clusterLogs } from "../../operations/logs/clusterLogs";
import type { LogLine } from "../../operations/logs/logLines";
import { readLogs } from "../../operations/logs/readLogs";
import { UserError } from "../../platform/process";
import { clusterStack } from "../support/cluster";
import { CRASHES, podObject, RUNS } from "../support/clusterPods";
import { TINY } from "../support/clusterStacks";
import { ClusterStub } from "../support/clusterStub";
import { needs } from "../support/needs";
import { testSecrets } from "../support/stacks";

/** Logs by `pod container`, and by `pod container previous`. */
const LOGS: Record<string, string[]> = {
  "gateway-1 main": [
    '2026-11-01T10:00:03.000000000Z {"message": "tiny was asked with sk-PLANTED-master-0123456789abcdef", "level": "INFO"}',
    "2026-11-01T10:00:04.000000000Z other was asked",
  ],
  "edge-1 main": ["2026-11-01T10:00:01.000000000Z GET /v1/models 200"],
  "backend-tiny-1 weights": ["2026-11-01T11:00:00.500000000+01:00 fetched"],
  "backend-tiny-1 main": ["2026-11-01T10:00:05.000000000Z loaded"],
  "backend-tiny-1 main previous": ["2026-11-01T10:00:02.000000000Z out of memory"],
  "prove-tiny-1 main": ["2026-11-01T10:00:06.000000000Z proven: tiny answers"],
};

needs("kubectl")("logs of a box on a cluster", () => {
  let stub: ClusterStub;
  let undo: () => void;
  /** Query of each log that was asked for, by `pod container`. */
  let asked: Record<string, string>;
  const { plan, config } = clusterStack({
    kubernetes: { context: "admin", namespace: "box" },
    models: { tiny: TINY, other: { engine: "openai", baseUrl: "http://far.example:8000/v1" } },
  });

  beforeEach(async () => {
    asked = {};
    stub = new ClusterStub();
    await stub.start();
    undo = stub.asDefault();
    const weights = { name: "weights", restartCount: 0, state: { terminated: { exitCode: 0 } } };
    const spec = { initContainers: [{ name: "weights", image: "any" }] };
    stub.objects = [
      podObject("gateway-1", "gateway"),
      podObject("gateway-2", "gateway", {
        status: { phase: "Pending", containerStatuses: [{ ...RUNS, state: { waiting: {} } }] },
      }),
      podObject("edge-1", "edge"),
      podObject("backend-tiny-1", "backend-tiny", {
        spec: { ...spec, containers: [{ name: "main", image: "any" }] },
        status: { initContainerStatuses: [weights], containerStatuses: [{ ...RUNS, restartCount: 1 }] },
      }),
      podObject("prove-tiny-1", "prove", { status: { phase: "Succeeded" } }),
    ];
    stub.agent.life.log = (pod, container, query) => {
      const name = `${pod} ${container}${query.get("previous") ? " previous" : ""}`;
      asked[name] = [...query.keys()].filter((key) => key !== "container").join();
      return LOGS[name] ?? [];
    };
  });
  afterEach(() => {
    undo();
    stub.close();
  });

  async function read(of: string | undefined, since = "15m", follow = false): Promise<LogLine[]> {
    const lines: LogLine[] = [];
    const print = (line: LogLine) => void lines.push(line);
    const place = clusterLogs(plan, since);
    await readLogs({ box: plan, place, config, secrets: testSecrets, of, follow, raw: false, print });
    return lines;
  }
  const words = (lines: LogLine[]) => lines.map(({ container, text }) => `${container}: ${text}`);

  test("of a model are its pods' with what ran before, and the gateways' and the proof's lines about it, in order of time", async () => {
    expect(words(await read("tiny"))).toEqual([
      "backend-tiny-1/weights: fetched",
      "backend-tiny-1: out of memory",
      "gateway-1: tiny was asked with [secret]",
      "backend-tiny-1: loaded",
      "prove-tiny-1: proven: tiny answers",
    ]);
    expect((await read("other")).map(({ text }) => text)).toEqual(["other was asked"]);
  });

  test("of a part are its own, and of the whole box all; a pod that never started has none", async () => {
    expect(await read("edge")).toEqual([
      {
        ...{ at: "2026-11-01T10:00:01.000000000Z", container: "edge-1", role: "edge" },
        text: "GET /v1/models 200",
      },
    ]);
    expect(await read(undefined)).toHaveLength(7);
    expect(Object.keys(asked)).not.toContain("gateway-2 main");
  });

  test("a time in Docker's notation reaches the node in kubectl's, and another one is refused", async () => {
    await read("edge", "2h");
    expect(asked["edge-1 main"]).toBe("sinceSeconds,timestamps");
    await read("edge", "2026-11-01");
    expect(asked["edge-1 main"]).toBe("sinceTime,timestamps");
    await expect(read("edge", "yesterday")).rejects.toEqual(
      new UserError('"yesterday" is not a time.', "For --since, write 15m, 2h or a date."),
    );
  });

  test("followed they are the same lines, until each log ends", async () => {
    const followed = words(await read("tiny", "15m", true));
    expect(asked["gateway-1 main"]).toBe("follow,sinceSeconds,timestamps");
    expect(followed.sort()).toEqual(words(await read("tiny")).sort());
  });

  test("a log that its node does not give is told in its place, and the others are read", async () => {
    const crashing = podObject("backend-tiny-1", "backend-tiny", {
      status: { containerStatuses: [CRASHES] },
    });
    stub.objects = [...stub.objects.filter(({ metadata }) => metadata.name !== "backend-tiny-1"), crashing];
    stub.agent.life.log = (pod, container) =>
      pod === "edge-1" ? undefined : (LOGS[`${pod} ${container}`] ?? []);
    expect(words(await read("tiny"))).toContain("backend-tiny-1: loaded");
    expect(words(await read("edge"))).toEqual([
      'edge-1: gpubox: this log cannot be read: Get "https://n1:10250": dial tcp: connection refused.',
    ]);
  });

  test("an unknown word is answered with the parts that there are", async () => {
    await expect(read("edgy")).rejects.toEqual(
      new UserError('The stack test has no model and no part "edgy".', 'Did you mean "edge"?'),
    );
  });
});
