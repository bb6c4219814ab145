import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { Box } from "../../components/Box";
import { packageDir } from "../../platform/project";
import { everyImage } from "../support/engines";
import { nameOf, registered } from "../support/mocks";
import { observed, online, secrets } from "../support/observed";
import { testPlan } from "../support/stacks";
import { ACME, PUBLIC } from "../support/tlsStacks";
import { planOf, spread } from "../support/twoHosts";

/** Each class of a component with the type token that it hands to Pulumi; undefined for one that takes it as an argument. */
const classes = ["components", "program"].flatMap((room) =>
  readdirSync(join(packageDir, room)).flatMap((file) => {
    const source = readFileSync(join(packageDir, room, file), "utf8");
    const parts = source
      .split(/^(?:export )?(?=(?:abstract )?class \w+ extends (?!pulumi\.(?:Custom|Provider)Resource))/m)
      .slice(1);
    return parts.map((text) => ({
      name: /class (\w+)/.exec(text)![1]!,
      isAbstract: text.startsWith("abstract"),
      token: /super\(\s*"([^"]+)"/.exec(text)?.[1],
      text,
    }));
  }),
);

test("each class has a type token that is written out and has its name", () => {
  expect(classes.filter(({ isAbstract }) => isAbstract).map(({ name }) => name)).toEqual(["Service"]);
  const concrete = classes.filter(({ isAbstract }) => !isAbstract);
  for (const { name, token } of concrete) expect([name, token]).toEqual([name, `gpubox:index:${name}`]);
});

test("no type token of a running box changes: a renamed one would replace its resources", () => {
  const tokens = classes.flatMap(({ token }) => token ?? []).map((token) => token.split(":")[2]);
  expect(tokens.sort()).toEqual([
    ...["Backend", "Box", "Cache", "Certificates", "Cluster", "ClusterPart", "Database", "Edge", "Gateway"],
    ...[
      "Group",
      "Host",
      "HostFiles",
      "ModelServer",
      "Monitor",
      "Observability",
      "Server",
      "Slot",
      "Valve",
      "Worker",
    ],
  ]);
});

test("every component of a box that has one of each kind registers its outputs, once", async () => {
  const gguf = (file: string, more = {}) => ({
    engine: "llamacpp",
    model: `file:///srv/models/${file}`,
    ...more,
  });
  const { workers, networks } = planOf(spread(2, 1), "gpu2");
  const own = testPlan(
    {
      ...observed(),
      gateway: { ...PUBLIC, tls: { acme: ACME } },
      models: {
        tiny: gguf("tiny.gguf"),
        late: gguf("late.gguf", { start: "ondemand", slot: "one" }),
        later: gguf("later.gguf", { start: "ondemand", group: "two" }),
      },
    },
    secrets,
    { ...online, images: { ...everyImage.images, ...online.images } },
  );
  const plan = { ...own, workers, networks: [...own.networks, networks.at(-1)!] };
  const ended: string[] = [];
  const all = await registered(() => {
    const monitor = pulumi.runtime.getMonitor() as unknown as {
      registerResourceOutputs(request: { getUrn(): string }, callback: unknown): unknown;
    };
    const original = monitor.registerResourceOutputs.bind(monitor);
    monitor.registerResourceOutputs = (request, callback) => {
      ended.push(request.getUrn());
      return original(request, callback);
    };
    return new Box(plan.prefix, { plan, secrets: pulumi.secret<Record<string, string>>(secrets) });
  });
  const components = all.filter(({ type }) => type.startsWith("gpubox:"));
  const kinds = new Set(components.map(({ type }) => type));
  const outside = ["ModelServer", "Cluster", "ClusterPart"];
  const inBox = classes.flatMap(({ name, token }) => (token && !outside.includes(name) ? [token] : []));
  expect([...kinds].sort()).toEqual(inBox.sort());
  const names = ended.filter((urn) => urn.includes("gpubox:index:")).map(nameOf);
  expect(names.sort()).toEqual(components.map(({ name }) => name).sort());
});
