import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { renderText } from "../../configs/kit/text";
import { CANARY_ASSETS } from "../../configs/plan/haproxy/canary";
import { EDGE_ASSETS, type EdgeOptions, edgeConfig } from "../../configs/plan/haproxy/edge";
import { edgeKeys } from "../../configs/plan/haproxy/edgeKeys";
import { GROUP_ASSETS, type GroupMember, groupConfig, groupMembers } from "../../configs/plan/haproxy/group";
import { directKeys, valveConfig } from "../../configs/plan/haproxy/valve";
import { ANY_MODE } from "../../configs/schema/model";
import { hasOpenssl, makeCertificate } from "../support/certificates";
import { orSkip } from "../support/needs";

/** Where files lie in a container. */
const PLACES = ["/etc/gpubox", "/var/lib/gpubox", "/tmp/knows.map", "/tmp/moved.map"];

/** Name of a HAProxy to how a script runs with it, `dir` being /etc/gpubox there. */
const haproxies: Record<string, (dir: string, script: string) => { status: number | null; output: string }> =
  {};

if (spawnSync("haproxy", ["-v"]).status === 0) {
  haproxies["this machine's"] = (dir, script) => {
    for (const file of readdirSync(dir)) {
      const text = PLACES.reduce((all, place) => all.replaceAll(place, here(dir, place)), read(dir, file));
      writeFileSync(join(dir, file), text);
    }
    return outcome(
      spawnSync("bash", ["-c", script.replaceAll("/etc/gpubox", dir).replaceAll("/var/lib/gpubox", dir)]),
    );
  };
}
for (const image of edgeImages()) {
  haproxies[image] = (dir, script) => {
    const args = ["run", "--rm", "--network", "none", "--user", "99:99", "--read-only", "--cap-drop", "ALL"];
    const mounts = [
      "--volume",
      `${dir}:/etc/gpubox:ro`,
      "--tmpfs",
      "/var/lib/gpubox:mode=1777",
      "--tmpfs",
      "/tmp",
    ];
    return outcome(spawnSync("docker", [...args, ...mounts, "--entrypoint", "bash", image, "-c", script]));
  };
}

function here(dir: string, place: string): string {
  return place.endsWith(".map") ? join(dir, basename(place)) : dir;
}

function read(dir: string, file: string): string {
  return readFileSync(join(dir, file), "utf8");
}

function outcome(result: ReturnType<typeof spawnSync>) {
  return { status: result.status, output: `${result.stdout}${result.stderr}` };
}

function edgeImages(): string[] {
  const other = process.env.GPUBOX_TEST_EDGE_IMAGE;
  try {
    const format = ["--format", "{{.Repository}}:{{.Tag}}"];
    const list = execFileSync("docker", ["image", "ls", ...format, "--filter", "reference=gpubox/edge"]);
    return [...list.toString().split("\n").filter(Boolean).slice(0, 1), ...(other ? [other] : [])];
  } catch {
    return [];
  }
}

const EDGE: EdgeOptions = { hosts: [], auth: "key", keys: "virtual", adminEndpoint: "http://127.0.0.1:4001" };
const VALVE = {
  model: "tiny",
  backend: { name: "backend-tiny", port: 8000, healthPath: "/health" },
  holdSeconds: 30,
  routes: ["/v1/models", "/v1/chat/completions"],
};
const TLS = { certificate: "/etc/gpubox/tls.pem" };
const SECRETS = { masterKey: "sk-test-new", previousMasterKey: "sk-test-old" };

const PEM = (() => {
  if (!hasOpenssl) return "";
  const { certificate, key } = makeCertificate({ names: ["box.example"] });
  return certificate + key;
})();

const names = Object.keys(haproxies);

orSkip(describe, names.length > 0 ? "" : "haproxy or the image gpubox/edge").each(
  names.length > 0 ? names : ["no"],
)("%s HAProxy", (name) => {
  let dir: string;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "gpubox-haproxy-"));
    chmodSync(dir, 0o755);
    for (const [file, asset] of Object.entries({ ...EDGE_ASSETS, ...CANARY_ASSETS })) {
      cpSync(join(__dirname, "../../assets", asset), join(dir, file));
    }
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const check = (files: Record<string, string>, script: string) => {
    for (const [file, text] of Object.entries(files)) writeFileSync(join(dir, file), text, { mode: 0o644 });
    return haproxies[name]!(dir, script);
  };
  const checkEdge = (options: Partial<EdgeOptions>, upstream: string) =>
    check(
      {
        "haproxy.cfg": renderText(edgeConfig({ ...EDGE, ...options }), SECRETS),
        "keys.map": renderText(edgeKeys({ previousMasterKey: true }), SECRETS),
        ...(options.tls ? { "tls.pem": PEM } : {}),
      },
      `set -e; source /etc/gpubox/upstream.sh; write_upstream abc ${upstream}; restore_upstream
       haproxy -c -f /etc/gpubox/haproxy.cfg -f /var/lib/gpubox/upstream.cfg`,
    );
  const checkValve = (options: Partial<Parameters<typeof valveConfig>[0]>) =>
    check(
      {
        "haproxy.cfg": renderText(valveConfig({ ...VALVE, ...options }), {}),
        "keys.map": renderText(directKeys("exposeKey", true), { exposeKey: "sk-e", saltKey: "sk-s" }),
        "moved.map": "",
      },
      "haproxy -c -f /etc/gpubox/haproxy.cfg",
    );

  test.each<[string, Partial<EdgeOptions>, string]>([
    ["without a gateway", {}, ""],
    ["with one gateway", {}, "s1=gateway-1"],
    ["with gateways in other slots", {}, "s3=gateway-1 s16=gateway.two_2"],
    ["that asks for no key", { auth: "none" }, "s1=gateway-1"],
    ["that takes master keys only", { keys: "master" }, "s1=gateway-1"],
    ["with a hundred hosts", { hosts: Array.from({ length: 100 }, (_, i) => `box${i}.example`) }, "s1=g"],
    ["with addresses as hosts", { hosts: ["192.0.2.1", "fd00::1", "[fd00::2]"] }, "s1=g"],
    ["that does not hold", { holdSeconds: 0 }, "s1=g"],
    ["of a box with models of every mode", { modes: ANY_MODE }, "s1=g"],
    ["that Prometheus reads", { metrics: true }, "s1=g"],
    ["with TLS", { tls: TLS }, "s1=g"],
    ["with TLS on the admin port too", { tls: TLS, adminTls: true, adminHosts: ["10.0.0.1"] }, "s1=g"],
    [
      "whose certificate comes by ACME",
      { tls: { ...TLS, strictSni: true, challenges: { httpsPort: 443 } } },
      "s1=g",
    ],
  ])("takes an edge %s without a warning", (_, options, upstream) => {
    const { status, output } = checkEdge(options, upstream);
    expect(output.replace("Configuration file is valid\n", "")).toBe("");
    expect(status).toBe(0);
  });

  test.each([
    ["as it is", {}],
    ["of a model that is started by hand", { startHint: "gpubox model start giant", holdSeconds: 0 }],
    ["of a model that a slot loads", { slot: "big" }],
    ["of a model of a group", { grouped: true }],
    ["with a port of its own", { direct: { keyed: true } }],
    ["with a port of its own, before a backend without a key", { direct: { keyed: false } }],
    [
      "that looks for a text",
      { backend: { ...VALVE.backend, healthPath: "/api/ps", healthText: '"it\'s:30b"' } },
    ],
    ["that Prometheus reads", { metrics: {} }],
    ["that passes its backend's metrics on", { metrics: { backendPath: "/prometheus/metrics" } }],
    ["that opens many routes", { routes: ["/v1/models", "/rerank", "/v1/audio/"], direct: { keyed: true } }],
    [
      "whose model may have a canary",
      {
        backend: { ...VALVE.backend, standIn: "standin-tiny", canary: true },
        maxParallel: 4,
        direct: { keyed: true },
      },
    ],
    ["of a model with every quote", { model: `it's "a" \\ %[src] $HOME #1 model` }],
  ])("takes a valve %s without a warning", (_, options) => {
    const { status, output } = checkValve(options);
    expect(output.replace("Configuration file is valid\n", "")).toBe("");
    expect(status).toBe(0);
  });

  test("takes the scheduler of a group without a warning", () => {
    const member = (slug: string, index: number): GroupMember => ({
      ...{
        name: `acme/${slug}:1`,
        slug,
        port: 10_000 + index,
        server: { name: `backend-${slug}`, port: 8188 },
      },
      ...{ needs: [{ device: "GPU-1", mib: 1000 }], priority: -1, pinned: index === 0, idleSeconds: 300 },
      ...{ waitSeconds: 585, readySeconds: 900, startHint: `gpubox model start 'acme/${slug}:1'` },
    });
    const members = ["one", "two"].map(member);
    const { status, output } = check(
      {
        "haproxy.cfg": groupConfig(members),
        "members.lua": groupMembers([{ device: "GPU-1", mib: 1500 }], members),
        ...Object.fromEntries(
          Object.entries(GROUP_ASSETS).map(([name, asset]) => [
            name,
            readFileSync(join(__dirname, "../../assets", asset), "utf8"),
          ]),
        ),
      },
      "haproxy -c -f /etc/gpubox/haproxy.cfg",
    );
    expect(output.replace("Configuration file is valid\n", "")).toBe("");
    expect(status).toBe(0);
  });

  test("refuses a configuration with a mistake, so that the tests above mean something", () => {
    const { status, output } = check(
      {
        "haproxy.cfg": renderText(edgeConfig(EDGE), SECRETS).replace("balance leastconn", "balance lastconn"),
      },
      "haproxy -c -f /etc/gpubox/haproxy.cfg",
    );
    expect(status).toBe(1);
    expect(output).toContain("balance only supports");
  });
});
