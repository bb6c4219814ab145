import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { parseStack } from "../../../../configs/parse";
import { bridgeName } from "../../../../configs/plan/bridges";
import { looksLikeSecret } from "../../../../configs/policy/plaintext";
import { boxesScript } from "../../../../operations/host/boxes";
import { containerReach } from "../../../../operations/host/containerReach";
import { firewallInput } from "../../../../operations/host/firewallInput";
import { packageDir } from "../../../../platform/project";
import { rawStack, testPlan, testSecrets, tinyModel } from "../../../support/stacks";

const reachOf = (values: Record<string, unknown>, more: Record<string, string> = {}) =>
  containerReach(parseStack(rawStack(values, { ...testSecrets, ...more })));
const server = (baseUrl: string) => ({ models: { m: { engine: "openai", baseUrl, apiKey: "none" } } });

describe("the parts of the host that a box's containers may reach", () => {
  test("is nothing by default", () => {
    expect(reachOf({})).toMatchObject({ open: [], metadata: false });
  });

  test.each([
    ["http://host.docker.internal:11434/v1", "*", 11434],
    ["http://host.docker.internal/v1", "*", 80],
    ["https://100.64.0.7/v1", "100.64.0.7", 443],
    ["http://[fd7a::7]:8000/v1", "fd7a::7", 8000],
    ["http://gpu1:8000/v1", "*", 8000],
    ["http://gpu1.tailnet.ts.net:8000/v1", "*", 8000],
    ["http://box.example:8000/v1", "*", 8000],
  ])("is the port of %s", (baseUrl, address, port) => {
    const gateway = { hosts: ["box.example"] };
    expect(reachOf({ gateway, ...server(baseUrl) }).open).toEqual([{ address, port }]);
  });

  test("includes no port of a server on another host", () => {
    expect(reachOf(server("https://api.example.com/v1")).open).toEqual([]);
  });

  test("includes what jobs, variables and openToContainers name, each once", () => {
    const { open } = reachOf({
      ...server("http://host.docker.internal:9000/v1"),
      host: { openToContainers: [5432, 9000], docker: "ssh://ops@10.0.0.9:2222" },
      gateway: { env: { OTEL_EXPORTER_OTLP_ENDPOINT: "http://host.docker.internal:4318" } },
      jobs: { eval: { upstream: { baseUrl: "http://192.168.1.2:8000/v1", model: "m" }, port: 4100 } },
    });
    expect(open.map(({ address, port }) => `${address}:${port}`)).toEqual([
      "*:4318",
      "*:5432",
      "*:9000",
      "192.168.1.2:8000",
    ]);
  });

  test("includes metadata only for models that use the machine's role", () => {
    const cloud = (entry: object) =>
      reachOf({ models: { m: { engine: "cloud", ...entry } } }, { awsId: "i", awsKey: "k" });
    expect(cloud({ model: "bedrock/x", apiKey: "none" }).metadata).toBe(true);
    expect(cloud({ model: "vertex_ai/x", apiKey: "none" }).metadata).toBe(true);
    const aws = {
      region: "eu-central-1",
      accessKeyId: { secret: "awsId" },
      secretAccessKey: { secret: "awsKey" },
    };
    expect(cloud({ model: "bedrock/x", aws }).metadata).toBe(false);
    expect(cloud({ model: "groq/x", apiKey: "none" }).metadata).toBe(false);
  });

  test("is found in any URL, and is always an address and a port that iptables accepts", () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true }), fc.string(), (url, text) => {
        const value = `${text}${url}`;
        // Refused before anybody looks for an address, as http://host?:a@ is, which may hold a password with a question mark.
        fc.pre(!looksLikeSecret(value));
        for (const { address, port } of reachOf({ gateway: { env: { X: value } } }).open) {
          expect(address).toMatch(/^(\*|[0-9.]+|[0-9a-f:.]+)$/);
          expect(Number.isInteger(port) && port >= 1 && port <= 65535).toBe(true);
        }
      }),
    );
  });
});

describe("a network's bridge", () => {
  test("has a name of 15 characters that says whose it is, the same at each time, and another for each network", () => {
    const bridges = testPlan().networks.map(({ name, bridge }) => {
      expect(bridge).toBe(bridgeName(name));
      return bridge!;
    });
    for (const bridge of bridges) expect(bridge).toMatch(/^br-gpubox[0-9a-f]{6}$/);
    expect(new Set(bridges).size).toBe(4);
  });

  test("is in the rules before it exists", () => {
    expect(reachOf({}).bridges).toEqual(testPlan({}).networks.map(({ bridge }) => bridge));
  });
});

test("a project of one's own has no scripts for the host: they come with the package", () => {
  const config = parseStack(rawStack({ models: tinyModel }));
  const shipped = readFileSync(join(packageDir, "assets/host/firewall.sh"), "utf8");
  expect(firewallInput("/nowhere", "gpu1", config)).toMatchObject({ stack: "gpu1", script: shipped });
  expect(boxesScript()).toBe(readFileSync(join(packageDir, "assets/host/boxes.sh"), "utf8"));
});
