import { readFileSync } from "node:fs";
import { join } from "node:path";
import { renderText } from "../../../configs/kit/text";
import { waitingServer } from "../../../configs/plan/haproxy/common";
import { EDGE_ASSETS, type EdgeOptions, edgeConfig } from "../../../configs/plan/haproxy/edge";
import { edgeKeys } from "../../../configs/plan/haproxy/edgeKeys";
import { VALVE_ASSETS } from "../../../configs/plan/haproxy/valve";

const OPTIONS: EdgeOptions = {
  hosts: ["box.example"],
  auth: "key",
  keys: "virtual",
  adminEndpoint: "http://127.0.0.1:4001",
};
const config = (options: Partial<EdgeOptions> = {}) => renderText(edgeConfig({ ...OPTIONS, ...options }), {});
const section = (text: string, header: string) => text.split(`\n${header}\n`)[1]!.split("\n\n")[0]!;
const asset = (path: string) => readFileSync(join(__dirname, "../../../assets", path), "utf8");

describe("the edge's haproxy.cfg", () => {
  test("holds no secret, whatever protects the gateway", () => {
    for (const auth of ["key", "none"] as const) {
      expect(edgeConfig({ ...OPTIONS, auth }).every((part) => typeof part === "string")).toBe(true);
    }
  });

  test("does not depend on models, so that a model add leaves it alone", () => {
    expect(config()).toBe(config());
    expect(config()).not.toContain("server s1");
  });

  test("names each allowed host once, in lower case, and always the loopback names", () => {
    const hosts = [
      ...section(
        config({ hosts: ["Box.Example", "box.example", "fd00::A", "localhost"] }),
        "frontend admin from front",
      ).matchAll(/acl known_host .* -m str (.*)/g),
    ].map((match) => match[1]);
    expect(hosts).toEqual(["localhost", "127.0.0.1", "[::1]", "box.example", "[fd00::a]"]);
  });

  test.each(["a b", "box:4000", "box'", "", "box\n", "*", "http://box"])("refuses %j as a host", (host) => {
    expect(() => config({ hosts: [host] })).toThrow(/not a host name or an IP address/);
  });

  test("adds a key for clients only when it requires none from them", () => {
    const sets = /^ {2}http-request set-header Authorization "Bearer %\[var\(txn.known\)\]"$/m;
    expect(section(config({ auth: "none" }), "frontend clients from front")).toMatch(sets);
    expect(section(config({ auth: "none" }), "frontend admin from front")).not.toMatch(sets);
    expect(section(config({ auth: "none" }), "frontend waiting from front")).not.toMatch(sets);
    expect(config()).not.toMatch(sets);
  });

  test("retries only what may run twice", () => {
    expect(config()).toContain("\n  retry-on conn-failure empty-response\n");
    expect(section(config(), "frontend admin from front")).toContain("disable-l7-retry unless METH_GET");
    expect(section(config(), "frontend waiting from front")).toContain("\n  http-request disable-l7-retry\n");
  });

  test("lets a stream be silent for 15 minutes and outlive a reload by an hour", () => {
    const limits = [...config().matchAll(/^ {2}(timeout (?:client|server)|hard-stop-after) (.*)$/gm)];
    expect(limits.map(([line]) => line.trim())).toEqual([
      "hard-stop-after 60m",
      "timeout client 15m",
      "timeout server 15m",
    ]);
  });

  test("says how long it held a request", () => {
    expect(config({ holdSeconds: 7 })).toContain("lua.hold gateways 7");
    expect(config({ holdSeconds: 7 })).toContain("No gateway was up for 7 seconds.");
  });
});

describe("the edge's keys.map", () => {
  const secrets = { masterKey: "sk-new", previousMasterKey: "sk-old" };
  const lines = (previousMasterKey: boolean) =>
    renderText(edgeKeys({ previousMasterKey }), secrets).split("\n").slice(1, -1);

  test("holds the master key by its name, and its name by the key", () => {
    expect(lines(false)).toEqual(["master sk-new", "key:sk-new master"]);
  });

  test("holds the previous key in the same way while the config names one", () => {
    expect(lines(true)).toEqual([
      "master sk-new",
      "key:sk-new master",
      "previous sk-old",
      "key:sk-old previous",
    ]);
  });
});

describe("the files of edge and valve", () => {
  test("exist, and a valve needs one that an edge has not: only its backend is drained by hand", () => {
    const all = { ...EDGE_ASSETS, ...VALVE_ASSETS };
    for (const path of Object.values(all)) expect(asset(path)).not.toBe("");
    expect({ ...EDGE_ASSETS, "drain.sh": "haproxy/drain.sh" }).toMatchObject(VALVE_ASSETS);
  });

  test("agree on the way to the listener that holds requests", () => {
    expect(asset("edge/upstream.sh")).toContain(`echo "  ${waitingServer()}"`);
    expect(asset("haproxy/hold.lua")).toContain(`name ~= "${waitingServer().split(" ")[1]}"`);
  });

  test("agree on paths", () => {
    const all = Object.values(EDGE_ASSETS).map(asset).join("\n") + config();
    const places = [...all.matchAll(/\/(?:etc|var\/lib)\/gpubox\/[\w.]*\w|\/tmp\/[\w.-]*\w/g)].map(
      ([place]) => place,
    );
    expect([...new Set(places)].sort()).toEqual([
      "/etc/gpubox/body.lua",
      "/etc/gpubox/certificates.sh",
      "/etc/gpubox/control.sh",
      "/etc/gpubox/haproxy.cfg",
      "/etc/gpubox/heal.sh",
      "/etc/gpubox/hold.lua",
      "/etc/gpubox/keys.map",
      "/etc/gpubox/moved.map",
      "/etc/gpubox/reload.sh",
      "/etc/gpubox/silent.lua",
      "/etc/gpubox/switch.sh",
      "/etc/gpubox/upstream.sh",
      "/tmp/admin.sock",
      "/tmp/clients.sock",
      "/tmp/expiry.map",
      "/tmp/gpubox-answered",
      "/tmp/gpubox-failing",
      "/tmp/gpubox-healed",
      "/tmp/gpubox.lock",
      "/tmp/knows.map",
      "/tmp/master.sock",
      "/tmp/moved.map",
      "/tmp/waiting.sock",
      "/var/lib/gpubox/upstream.cfg",
    ]);
  });
});
