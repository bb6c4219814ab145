import { parseList } from "../../../../operations/drift/collectFiles";
import { drift } from "../../../../operations/drift/drift";
import type { DriftFacts, HostContainer } from "../../../../operations/drift/facts";
import { planRepairs } from "../../../../operations/drift/repairs";
import { driftText } from "../../../../operations/drift/text";
import { asPlanned, box, deployed, found, serviceOf, services } from "../../../support/drift";
import { testSecrets } from "../../../support/stacks";

/** What is said of a host after `change`. */
function seenAfter(change: (facts: DriftFacts) => void) {
  const facts = asPlanned();
  change(facts);
  const report = drift(box, facts);
  return { report, said: report.differences.map(({ what }) => what), facts };
}

const repairsOf = ({ facts, report }: ReturnType<typeof seenAfter>, state = deployed()) =>
  planRepairs(box, facts, report, state);

describe("drift", () => {
  test("is empty on a host that is as planned", () => {
    const { report } = seenAfter(() => {});
    expect(report).toEqual({ stack: "test", differences: [], configChanged: false, notChecked: [] });
    expect(driftText(report)).toBe("The stack test is on its host as planned.");
  });

  test.each<[string, (one: HostContainer) => void, string]>([
    ["image", (one) => (one.settings.image = "x:1"), "image: x:1 instead of gpubox/cache:333333333333"],
    [
      "image's name",
      (one) => (one.staleImage = true),
      "image: its name refers to a newer image than the running one",
    ],
    ["entrypoint", (one) => (one.settings.entrypoint = ["sh"]), "entrypoint: another one than planned"],
    ["command", (one) => (one.settings.command = ["x"]), "command: another one than planned"],
    ["user", (one) => (one.settings.user = "0"), "user: 0 instead of 999:999"],
    ["environment", (one) => (one.settings.env.KEY = "sk-secret"), "environment: has also KEY"],
    ["labels", (one) => delete one.settings.labels["gpubox.role"], "labels: lacks gpubox.role"],
    [
      "networks",
      (one) => (one.settings.networks = { "gpubox-test-edge": [] }),
      "networks: lacks gpubox-test-data, has also gpubox-test-edge",
    ],
    [
      "mounts",
      (one) => one.settings.mounts.push("/ -> /host, writable"),
      "mounts: has also / -> /host, writable",
    ],
    [
      "ports",
      (one) => one.settings.ports.push("0.0.0.0:6379 -> 6379"),
      "ports: has also 0.0.0.0:6379 -> 6379",
    ],
    [
      "memory",
      (one) => (one.settings.memoryMiB = 0),
      `memory limit (MiB): 0 instead of ${serviceOf("cache").container.memoryMiB}`,
    ],
    ["CPU", (one) => (one.settings.otherLimits = "1 CPUs"), "other limits: 1 CPUs instead of none"],
    ["rights", (one) => (one.settings.privileged = true), "privileged: true instead of false"],
    ["namespaces", (one) => one.settings.sharesHost.push("pid"), "namespaces of the host: has also pid"],
    ["health check", (one) => (one.settings.health = "{}"), "health check: another one than planned"],
    [
      "restart policy",
      (one) => (one.settings.restart = "no"),
      "restart policy: no instead of unless-stopped",
    ],
  ])("tells of a container with another %s, and `up` makes it anew", (_, change, says) => {
    const seen = seenAfter((facts) => change(found(facts, "cache")));
    expect(seen.said).toEqual([`The container gpubox-test-cache is not as planned: ${says}.`]);
    expect(seen.report.differences[0]).toMatchObject({ byUp: true, affected: { who: "all clients" } });
    expect(repairsOf(seen).replace).toEqual(["urn:pulumi:test::gpubox::x::id-cache"]);
    expect(JSON.stringify(seen.report)).not.toContain("sk-secret");
  });

  test("ignores an engine's own defaults", () => {
    const { said } = seenAfter((facts) => {
      const { settings } = found(facts, "cache");
      Object.assign(settings, { shmMiB: 128, memorySwapMiB: -1, ulimits: ["nofile=1024:4096"] });
      found(facts, "edge").settings.stopSignal ||= "SIGUSR1";
    });
    expect(said).toEqual([]);
  });

  test("says whose requests depend on a container", () => {
    const { report } = seenAfter((facts) => {
      found(facts, "valve-tiny").state = "exited";
      found(facts, "backend-tiny").state = "paused";
    });
    expect(report.differences.map(({ affected }) => affected)).toEqual([
      { models: ["tiny"], who: "clients of tiny" },
      { models: ["tiny"], who: "clients of tiny" },
    ]);
  });

  test.each([
    ["running", ["id-cache"], []],
    ["paused", ["id-cache"], ["id-cache"]],
    ["restarting", ["id-cache"], []],
    // A refresh misses these, and Pulumi makes them anew by itself.
    ["exited", [], []],
    ["dead", [], []],
  ] as const)("of the settings of a container that is %s is repaired", (state, replaced, unpaused) => {
    const seen = seenAfter((facts) => {
      found(facts, "cache").state = state;
      found(facts, "cache").settings.memoryMiB = 7;
    });
    const { replace, unpause } = repairsOf(seen);
    expect([replace.map((urn) => urn.split("::").at(-1)), unpause]).toEqual([replaced, unpaused]);
  });

  test("ignores whether a model that people start is running", () => {
    expect(found(asPlanned(), "backend-giant").state).toBe("created");
    expect(seenAfter((facts) => (found(facts, "backend-giant").state = "running")).said).toEqual([]);
  });

  test("counts the gateways of the planned generation", () => {
    const { said } = seenAfter((facts) => {
      found(facts, "gateway-b").settings.labels["gpubox.generation"] = "another";
    });
    expect(said).toEqual([
      "The container gpubox-test-gateway is missing.",
      "The container gpubox-test-gateway-b has the label of the stack test, and nobody declares or records it.",
    ]);
  });

  test("leaves alone what has a record or a label that keeps it", () => {
    const facts = asPlanned();
    const stranger = (id: string, labels: Record<string, string>): HostContainer => ({
      ...{ id, name: id, state: "running" as const, staleImage: false },
      settings: {
        ...found(facts, "cache").settings,
        labels: { "gpubox.stack": "test", ...labels },
      },
    });
    const job = stranger("job", { "gpubox.keep": "job", "gpubox.job": "eval" });
    facts.containers.push(job, stranger("kept", { "gpubox.keep": "test" }));
    expect(drift(box, facts, new Set(["job"])).differences).toEqual([]);
    expect(drift(box, facts).differences).toMatchObject([
      { subject: "job", byUp: false, fix: "Remove it: `gpubox job stop eval`." },
    ]);
  });

  test("reports a foreign container on the box's network, which `up` leaves alone", () => {
    const seen = seenAfter((facts) => {
      const guest = structuredClone(found(facts, "cache"));
      facts.containers.push({
        ...guest,
        ...{ id: "g", name: "guest" },
        settings: { ...guest.settings, labels: {} },
      });
    });
    expect(seen.report.differences).toMatchObject([
      { kind: "guest", byUp: false, fix: expect.stringContaining("docker network disconnect") },
    ]);
    expect(repairsOf(seen)).toMatchObject({ said: [], remove: [] });
  });

  test("says that the config was changed, and then leaves the repair to Pulumi", () => {
    const seen = seenAfter((facts) => {
      found(facts, "cache").settings.labels["gpubox.spec"] = "older";
      const { directory } = serviceOf("cache");
      facts.directories[directory.path]!.entries["redis.conf"]!.sha256 = "0";
    });
    expect(seen.report.configChanged).toBe(true);
    expect(driftText(seen.report)).toContain("Pulumi.test.yaml changed since the last `up`");
    const state = deployed().map((one) =>
      one.id === "id-cache"
        ? { ...one, inputs: { ...one.inputs, labels: [{ label: "gpubox.spec", value: "older" }] } }
        : one,
    );
    expect(repairsOf(seen, state)).toMatchObject({ said: [], write: [], replace: [] });
  });
});

describe("a file of the box", () => {
  const edge = serviceOf("edge").directory.path;
  const redis = serviceOf("cache").directory.path;
  const entry = (facts: DriftFacts, path: string, name: string) => facts.directories[path]!.entries[name]!;

  test("that was changed is reported without its content, and written again", () => {
    const seen = seenAfter((facts) => (entry(facts, redis, "password").sha256 = "0"));
    expect(seen.said).toEqual([`${redis}/password has other content than planned.`]);
    expect(JSON.stringify(seen.report)).not.toContain(testSecrets.cachePassword!.slice(0, 7));
    expect(repairsOf(seen)).toMatchObject({
      clear: [`${redis}/password`],
      write: [{ path: redis }],
      replace: ["urn:pulumi:test::gpubox::x::id-cache"],
    });
  });

  test("that the edge reads is applied by a reload", () => {
    const seen = seenAfter((facts) => delete facts.directories[edge]!.entries["haproxy.cfg"]);
    expect(seen.said).toEqual([`${edge}/haproxy.cfg is missing.`]);
    expect(repairsOf(seen).replace).toEqual(["urn:pulumi:test::gpubox::x::id-edge-ready"]);
  });

  test("whose directory is gone needs a container that sees the new one", () => {
    const seen = seenAfter((facts) => delete facts.directories[edge]);
    expect(seen.said).toEqual([`${edge} is missing.`]);
    expect(repairsOf(seen)).toMatchObject({
      clear: [],
      write: [{ path: edge }],
      replace: ["urn:pulumi:test::gpubox::x::id-edge"],
    });
  });

  test("with other rights gets the planned ones, and nothing restarts", () => {
    const seen = seenAfter((facts) => {
      Object.assign(entry(facts, redis, "password"), { mode: "644", uid: 7 });
      facts.directories[redis]!.mode = "777";
    });
    expect(seen.said).toEqual([
      `${redis} has mode 777 instead of 750.`,
      `${redis}/password has mode 644 instead of 640.`,
      `${redis}/password belongs to 7:${serviceOf("cache").directory.gid} instead of 0:${serviceOf("cache").directory.gid}.`,
    ]);
    expect(repairsOf(seen)).toMatchObject({ clear: [], write: [{ path: redis }], replace: [] });
  });

  test("that is a link, or does not belong to the box, is removed", () => {
    const seen = seenAfter((facts) => {
      entry(facts, redis, "redis.conf").type = "link";
      facts.directories[redis]!.entries.extra = { type: "directory", mode: "750", uid: 0, gid: 0 };
    });
    expect(seen.said).toEqual([
      `${redis}/redis.conf is a link and not a plain file.`,
      `${redis}/extra does not belong to the box.`,
    ]);
    expect(repairsOf(seen).clear).toEqual([`${redis}/redis.conf`, `${redis}/extra`]);
  });

  test("is read from the host's list, whatever its name", () => {
    const list = [
      "dir - 750 0 99 /srv/x/edge",
      "file abc 640 0 99 /srv/x/edge/a name with 750 0 blanks",
      "link - 777 0 0 /srv/x/edge/.hidden",
      "dir - 2750 1 2 /srv/x/log",
    ].join("\n");
    expect(parseList(list)).toEqual({
      "/srv/x/edge": {
        ...{ mode: "750", uid: 0, gid: 99 },
        entries: {
          "a name with 750 0 blanks": { type: "file", mode: "640", uid: 0, gid: 99, sha256: "abc" },
          ".hidden": { type: "link", mode: "777", uid: 0, gid: 0 },
        },
      },
      "/srv/x/log": { mode: "2750", uid: 1, gid: 2, entries: {} },
    });
  });
});

describe("what else the box has on the host", () => {
  test("a network that leads out, a volume, an image and the edge's choice are reported", () => {
    const seen = seenAfter((facts) => {
      facts.networks.find(({ name }) => name === "gpubox-test-data")!.internal = false;
      facts.networks.find(({ name }) => name === "gpubox-test-models")!.stack = undefined;
      facts.volumes = [];
      facts.images = facts.images.filter((image) => !image.includes("llamacpp"));
      facts.serving = { generation: "other", gateways: [] };
    });
    expect(seen.said).toEqual([
      "The network gpubox-test-data is not as planned: it leads out of the host.",
      "The network gpubox-test-models is not as planned: it lacks the label gpubox.stack=test.",
      ...services.flatMap(({ volume }) =>
        volume ? [`The volume ${volume.name} is missing, with everything in it.`] : [],
      ),
      "The image gpubox/llamacpp:555555555555 is not on the host.",
      `The edge serves the generation other instead of ${box.gateway.generation}.`,
    ]);
    const { networks, replace } = repairsOf(seen);
    expect(networks).toEqual(["gpubox-test-data", "gpubox-test-models"]);
    // Everything that was on them, and the step that sends the edge to the gateways.
    expect(replace.map((urn) => urn.split("::").at(-1)).sort()).toEqual([
      "box-gateway-switch",
      ...["id-cache", "id-database", "id-gateway-a", "id-gateway-b", "id-valve-giant", "id-valve-tiny"],
    ]);
  });

  test("a container with another one's name is removed unless the state has it", () => {
    const seen = seenAfter((facts) => {
      found(facts, "cache").settings.labels = {};
      found(facts, "cache").id = "by-hand";
    });
    expect(seen.said[0]).toBe(
      "The container gpubox-test-cache was made by somebody else: it lacks the label gpubox.stack=test.",
    );
    expect(repairsOf(seen)).toMatchObject({ remove: ["by-hand"], replace: [] });
  });
});
