import { drift } from "../../configs/drift";
import type { Deployed } from "../../configs/drift/deployed";
import type { DriftFacts, HostContainer, HostDirectory } from "../../configs/drift/facts";
import { plannedHashes } from "../../configs/drift/files";
import { planRepairs } from "../../configs/drift/repairs";
import { plannedSettings } from "../../configs/drift/settings";
import { driftText } from "../../configs/drift/text";
import { servicesOf } from "../../configs/plan/box";
import { parseList } from "../../runner/drift/files";
import { gpuProcesses, parseGpuProcesses } from "../../runner/drift/gpus";
import { testPlan, testSecrets } from "../support/stacks";

const box = testPlan({
  gateway: { replicas: 2, trajectories: true },
  cache: { mode: "bundled" },
  database: { mode: "bundled" },
  models: {
    tiny: { engine: "llamacpp", model: "file:///srv/models/tiny.gguf", memoryMiB: 1024 },
    giant: { engine: "llamacpp", model: "file:///srv/models/giant.gguf", start: "manual" },
  },
});
const services = servicesOf(box);
const serviceOf = (role: string) => services.find(({ container }) => container.name === role)!;

/** A host that is as planned, made anew for each test. */
function asPlanned(): DriftFacts {
  const containers = services.flatMap((service): HostContainer[] => {
    const { name, started } = service.container;
    const copies = service === box.gateway ? ["-a", "-b"] : [""];
    return copies.map((end) => ({
      id: `id-${name}${end}`,
      name: `gpubox-test-${name}${end}`,
      state: started ? "running" : "created",
      staleImage: false,
      settings: structuredClone(plannedSettings(service.container, box)),
    }));
  });
  const directories: Record<string, HostDirectory> = {};
  for (const { directory, writable } of services) {
    const hashes = plannedHashes(directory, testSecrets);
    directories[directory.path] = {
      ...{ mode: "750", uid: 0, gid: directory.gid },
      entries: Object.fromEntries(
        Object.entries(directory.files).map(([name, { mode }]) => [
          name,
          { type: "file", mode: mode.slice(1), uid: 0, gid: directory.gid, sha256: hashes[name]! },
        ]),
      ),
    };
    for (const { path, uid, gid } of writable) directories[path] = { mode: "750", uid, gid, entries: {} };
  }
  return {
    containers,
    networks: box.networks.map(({ name, internal }) => ({ name, internal, driver: "bridge", stack: "test" })),
    volumes: services.flatMap(({ volume }) => volume?.name ?? []),
    images: services.map(({ container }) => container.image),
    directories,
    planned: Object.fromEntries(
      services.map(({ directory }) => [directory.path, plannedHashes(directory, testSecrets)]),
    ),
    serving: { generation: box.gateway.generation, gateways: [] },
  };
}

/** The state after an `up` of the plan. */
function deployed(): Deployed[] {
  const urn = (name: string) => `urn:pulumi:test::gpubox::x::${name}`;
  const containers = asPlanned().containers.flatMap(({ id, name, settings }): Deployed[] => {
    const labels = Object.entries(settings.labels).map(([label, value]) => ({ label, value }));
    const { directory } = serviceOf(settings.labels["gpubox.role"]!);
    return [
      { urn: urn(id), type: "docker:index/container:Container", id, inputs: { name, labels } },
      {
        ...{ urn: urn(`${id}-ready`), type: "command:local:Command" },
        inputs: { triggers: [id, directory.hash] },
      },
    ];
  });
  return [...containers, { urn: urn("box-gateway-switch"), type: "command:local:Command" }];
}

/** What is said of a host after `change`. */
function seenAfter(change: (facts: DriftFacts) => void) {
  const facts = asPlanned();
  change(facts);
  const report = drift(box, facts);
  return { report, said: report.differences.map(({ what }) => what), facts };
}

const found = (facts: DriftFacts, name: string) =>
  facts.containers.find((one) => one.name === `gpubox-test-${name}`)!;
const repairsOf = ({ facts, report }: ReturnType<typeof seenAfter>, state = deployed()) =>
  planRepairs(box, facts, report, state);

describe("drift", () => {
  test("is none on a host that is as planned", () => {
    const { report } = seenAfter(() => {});
    expect(report).toEqual({ stack: "test", differences: [], configChanged: false, notChecked: [] });
    expect(driftText(report)).toBe("The stack test is on its host as planned.");
  });

  test.each<[string, (one: HostContainer) => void, string]>([
    ["image", (one) => (one.settings.image = "x:1"), "image: x:1 instead of gpubox/cache:333333333333"],
    [
      "image's name",
      (one) => (one.staleImage = true),
      "image: the name means another one by now than the one that runs",
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
    [
      "CPU",
      (one) => (one.settings.otherLimits = "1 CPUs"),
      "limits of CPU and processes: 1 CPUs instead of none",
    ],
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

  test("tells whose requests a container matters to", () => {
    const { report } = seenAfter((facts) => {
      found(facts, "valve-tiny").state = "exited";
      found(facts, "backend-tiny").state = "paused";
    });
    expect(report.differences.map(({ affected }) => affected)).toEqual([
      { models: ["tiny"], who: "clients of tiny" },
      { models: ["tiny"], who: "clients of tiny" },
    ]);
  });

  test("is none where a model that people start was not started, or was", () => {
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

  test("leaves what has a record, or says that it stays, alone", () => {
    const facts = asPlanned();
    const stranger = (id: string, labels: Record<string, string>): HostContainer => ({
      ...{ id, name: id, state: "running" as const, staleImage: false },
      settings: {
        ...found(facts, "cache").settings,
        labels: { "gpubox.stack": "test", ...labels },
      },
    });
    facts.containers.push(stranger("job", {}), stranger("kept", { "gpubox.keep": "test" }));
    expect(drift(box, facts, new Set(["job"])).differences).toEqual([]);
    expect(drift(box, facts).differences.map(({ subject }) => subject)).toEqual(["job"]);
  });

  test("tells of a guest on a network of the box, which `up` leaves alone", () => {
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
    expect(driftText(seen.report)).toContain("Pulumi.test.yaml was changed since the last `up`");
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

  test("that was changed is told without a word of it, and written again", () => {
    const seen = seenAfter((facts) => (entry(facts, redis, "password").sha256 = "0"));
    expect(seen.said).toEqual([`${redis}/password holds something else than planned.`]);
    expect(JSON.stringify(seen.report)).not.toContain(testSecrets.cachePassword!.slice(0, 7));
    expect(repairsOf(seen)).toMatchObject({
      clear: [`${redis}/password`],
      write: [{ path: redis }],
      replace: ["urn:pulumi:test::gpubox::x::id-cache"],
    });
  });

  test("that the edge has read is taken by a reload", () => {
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

  test("with other rights gets them back, and nothing is started anew", () => {
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

  test("that is a link, or is not of the box, has to go", () => {
    const seen = seenAfter((facts) => {
      entry(facts, redis, "redis.conf").type = "link";
      facts.directories[redis]!.entries.extra = { type: "directory", mode: "750", uid: 0, gid: 0 };
    });
    expect(seen.said).toEqual([
      `${redis}/redis.conf is a link and not a plain file.`,
      `${redis}/extra is not of the box.`,
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
  test("a network that leads out, a volume, an image and the edge's choice are told", () => {
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
        volume ? [`The volume ${volume.name} is missing, and with it what was in it.`] : [],
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

  test("a container in another's place is removed, one that the state has is not", () => {
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

describe("processes on the GPUs", () => {
  const [first, second] = [
    "GPU-8a9e11c0-1111-4222-8333-444455556666",
    "GPU-0b1c2d3e-aaaa-4bbb-8ccc-ddddeeeeffff",
  ];
  const id = "c".repeat(64);
  const recorded = `0, ${first}
1, ${second}
--
${first}, 4242, 81034, /usr/bin/python3
${first}, 4300, 1024, /opt/tool, of mine
${second}, 4400, [N/A], Xorg
--
=4242
0::/system.slice/docker-${id}.scope
=4300
12:devices:/user.slice
0::/user.slice/user-1000.slice
=4400
0::/
`;

  test("are read with the container that they are in, of the declared devices", () => {
    expect(parseGpuProcesses(recorded, ["0"])).toEqual([
      { gpu: first, pid: 4242, name: "/usr/bin/python3", usedMiB: 81034, container: id },
      { gpu: first, pid: 4300, name: "/opt/tool, of mine", usedMiB: 1024 },
    ]);
    expect(parseGpuProcesses(recorded, [second]).map(({ pid, usedMiB }) => [pid, usedMiB])).toEqual([
      [4400, 0],
    ]);
  });

  test("that are in none of the box's containers are told", () => {
    const { report } = seenAfter((facts) => {
      found(facts, "backend-tiny").id = id;
      facts.gpus = parseGpuProcesses(recorded, ["0"]);
    });
    expect(report.differences).toMatchObject([
      {
        ...{ kind: "gpu", byUp: false },
        what: `The process /opt/tool, of mine (pid 4300) has 1024 MiB of ${first}, and is not of the box.`,
      },
    ]);
  });

  test("are not checked where the driver does not answer, and that is said", async () => {
    const gpus = await gpuProcesses(() => Promise.reject(new Error("nvidia-smi: not found")), ["0"]);
    const { report } = seenAfter((facts) => {
      facts.gpus = gpus;
    });
    expect(report).toMatchObject({
      differences: [],
      notChecked: ["processes on the GPUs: nvidia-smi: not found"],
    });
    expect(driftText(report)).toContain("not checked: processes on the GPUs: nvidia-smi: not found");
  });
});
