import { parse } from "yaml";
import { ConfigError } from "../../../configs/kit/problems";
import { renderText } from "../../../configs/kit/text";
import { composeFile } from "../../../operations/compose/composeFile";
import { drift } from "../../../operations/drift/drift";
import { plannedSettings } from "../../../operations/drift/settings";
import { asPlanned, box } from "../../support/drift";
import { testPlan, testSecrets, tinyModel } from "../../support/stacks";

const plan = (gateway: Record<string, unknown> = {}) => testPlan({ models: tinyModel, gateway });
const joining = (joinNetworks: Record<string, string[]>, more: Record<string, unknown> = {}) =>
  plan({ joinNetworks, ...more });
const haproxy = ({ edge }: ReturnType<typeof plan>) =>
  renderText(edge.directory.files["haproxy.cfg"]!.text, testSecrets);

function mistakes(gateway: Record<string, unknown>): string[] {
  try {
    plan(gateway);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, what, fix }) => `${path}: ${what} ${fix}`);
  }
}

describe("a foreign network", () => {
  test("with upstreams is joined by the gateways, without an alias, and by nobody else", () => {
    const { gateway, edge, networks, backends } = joining({ upstreams: ["ollama_default"] });
    expect(gateway.container.networks).toEqual({
      edge: [],
      data: [],
      models: [],
      "joined-ollama_default": [],
    });
    expect(edge.container.networks).toEqual({ edge: ["edge"] });
    expect(backends[0]?.service.container.networks).toEqual(plan().backends[0]?.service.container.networks);
    expect(networks.slice(4)).toEqual([
      { role: "joined-ollama_default", name: "ollama_default", internal: false, external: true },
    ]);
  });

  test("with clients is joined by the edge, which answers to its container's name", () => {
    const { gateway, edge } = joining({ clients: ["webui"] });
    expect(edge.container.networks).toEqual({ edge: ["edge"], "joined-webui": [] });
    expect(gateway.container.networks).toEqual(plan().gateway.container.networks);
    expect(haproxy(joining({ clients: ["webui"] }))).toContain(
      "acl known_host req.fhdr(Host),host_only -m str gpubox-test-edge\n",
    );
    expect(haproxy(joining({ upstreams: ["webui"] }))).not.toContain("gpubox-test-edge");
  });

  test("knows an edge with TLS by the names of its certificate", () => {
    const tls = { certificate: "/etc/c.pem", key: "/etc/k.pem" };
    const hosts = ["box.lan", "10.0.0.5"];
    const { edge } = joining({ clients: ["webui"] }, { tls, hosts });
    expect(edge.container.networks["joined-webui"]).toEqual(["box.lan"]);
  });

  test("appears once, whoever joins it and however often it is named", () => {
    const { networks } = joining({ upstreams: ["b", "a", "b"], clients: ["a"] });
    expect(networks.slice(4).map(({ name }) => name)).toEqual(["a", "b"]);
  });

  test("makes another generation, and changes no box without one", () => {
    const before = plan();
    const after = joining({ upstreams: ["a"] });
    expect(after.gateway.generation).not.toBe(before.gateway.generation);
    expect(after.gateway.container.labels["gpubox.spec"]).not.toBe(
      before.gateway.container.labels["gpubox.spec"],
    );
    expect(after.edge.container.labels).toEqual(before.edge.container.labels);
    expect(joining({}).gateway.generation).toBe(before.gateway.generation);
    expect(joining({ clients: ["a"] }).gateway.container.labels).toEqual(before.gateway.container.labels);
  });

  test("is external in a Compose file", () => {
    const file = parse(composeFile(joining({ upstreams: ["a"], clients: ["a"] })));
    expect(file.networks["joined-a"]).toEqual({ name: "a", external: true });
    expect(file.services.gateway.networks["joined-a"]).toEqual({ aliases: [] });
    expect(file.services.edge.networks["joined-a"]).toEqual({ aliases: [] });
  });
});

describe("drift", () => {
  const joined = { role: "joined-a", name: "a", internal: false, external: true } as const;
  const joinedBox = { ...box, networks: [...box.networks, joined] };
  const seen = (network?: object) => {
    const facts = asPlanned();
    if (network) facts.networks.push({ name: "a", internal: true, driver: "overlay", ...network });
    const guest = structuredClone(facts.containers[0]!);
    guest.id = "id-guest";
    guest.name = "somebody-elses";
    guest.settings.labels = {};
    guest.settings.networks = { a: [] };
    facts.containers.push(guest);
    return drift(joinedBox, facts).differences.map(({ what, fix, byUp }) => ({ what, fix, byUp }));
  };

  test("does not judge a foreign network, nor who is on it", () => {
    expect(seen({})).toEqual([]);
    expect(seen({ stack: "other" })).toEqual([]);
  });

  test("reports that it is gone, which `up` does not repair", () => {
    expect(seen()).toEqual([
      {
        what: "The network a, which gpubox:gateway.joinNetworks names, is missing.",
        fix: "Bring up what it belongs to, or make it (`docker network create a`), then run `gpubox up --stack test`.",
        byUp: false,
      },
    ]);
  });

  test("reads the alias with which a container joined it", () => {
    const { edge } = joining({ clients: ["a"] });
    expect(plannedSettings(edge.container, joinedBox).networks).toEqual({
      "gpubox-test-edge": ["edge"],
      a: [],
    });
  });
});

test.each([
  [
    { joinNetworks: { upstreams: ["ok", "gpubox-test-data"] } },
    [
      "gpubox:gateway.joinNetworks.upstreams[1]: gpubox-test-data is a network of this box, which makes and removes it. Name one that others made, or make one: `docker network create NAME`.",
    ],
  ],
  [
    { joinNetworks: { clients: ["webui"] }, auth: "none" },
    [
      "gpubox:gateway.joinNetworks.clients: Without keys, every container on those networks could use the models. Write gpubox:gateway auth: key, or leave the networks out.",
    ],
  ],
  [
    { joinNetworks: { clients: ["bridge"] } },
    [
      'gpubox:gateway.joinNetworks.clients[0]: "bridge" is not valid. Docker\'s own networks know no names. Make one, `docker network create NAME`, and put both sides on it.',
    ],
  ],
  [
    { joinNetworks: { upstreams: ["a b"] } },
    [
      'gpubox:gateway.joinNetworks.upstreams[0]: "a b" is not valid. Write a network\'s name, as `docker network ls` shows it.',
    ],
  ],
])("%j is refused", (gateway, expected) => expect(mistakes(gateway)).toEqual(expected));
