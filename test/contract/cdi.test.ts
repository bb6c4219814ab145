import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { cdiGpus } from "../../platform/docker/cdi";
import { run } from "../../platform/process";
import { needs } from "../support/needs";

let dir: string;
const path = process.env.PATH;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-cdi-"));
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(dir, { recursive: true });
});

describe("what an engine knows by CDI", () => {
  const DEVICES = [
    { Source: "cdi", ID: "nvidia.com/gpu=0" },
    { Source: "cdi", ID: "nvidia.com/gpu=GPU-1d2f" },
    { Source: "cdi", ID: "vendor.com/net=eth" },
  ];

  /** A Docker command line that describes its engine so, and a host with descriptions in a folder. */
  async function known(info: object): Promise<string[]> {
    mkdirSync(join(dir, "specs"));
    const spec = { kind: "nvidia.com/gpu", devices: [{ name: "0" }, { name: "1" }] };
    writeFileSync(join(dir, "specs/nvidia.json"), JSON.stringify(spec));
    writeFileSync(join(dir, "specs/broken.yaml"), "kind: [");
    writeFileSync(join(dir, "docker"), `#!/bin/sh\ncat <<'END'\n${JSON.stringify(info)}\nEND\n`);
    chmodSync(join(dir, "docker"), 0o755);
    process.env.PATH = `${dir}:${path}`;
    return cdiGpus("unix:///var/run/docker.sock");
  }

  test("28 and newer name the devices", async () => {
    expect(await known({ ServerVersion: "28.5.2", CDISpecDirs: [dir], DiscoveredDevices: DEVICES })).toEqual([
      ...["0", "GPU-1d2f"],
    ]);
  });

  test("25 to 27 name the folders, whose descriptions are read on the host", async () => {
    const CDISpecDirs = [join(dir, "none"), join(dir, "specs")];
    expect(await known({ ServerVersion: "26.1.5", CDISpecDirs })).toEqual(["0", "1"]);
  });

  test.each([
    ["20.10", { ServerVersion: "20.10.24" }],
    ["26 without the feature", { ServerVersion: "26.1.5", CDISpecDirs: [] }],
    [
      "28 without a description",
      { ServerVersion: "28.5.2", CDISpecDirs: ["/etc/cdi"], DiscoveredDevices: null },
    ],
  ])("%s knows none", async (_, info) => {
    expect(await known(info)).toEqual([]);
  });
});

const created = z.object({
  HostConfig: z.object({ DeviceRequests: z.array(z.record(z.string(), z.unknown())) }),
});

needs("docker")("what the Docker command line makes of a stand-in's words", () => {
  test.each([
    [
      'driver=cdi,"device=nvidia.com/gpu=0,nvidia.com/gpu=1"',
      "cdi",
      ["nvidia.com/gpu=0", "nvidia.com/gpu=1"],
    ],
    ['"device=0,1"', "", ["0", "1"]],
  ])("--gpus %s", async (words, driver, ids) => {
    let body = "";
    const engine = createServer((asked, answer) => {
      if (asked.url?.endsWith("_ping")) return answer.setHeader("Api-Version", "1.41").end("OK");
      asked.on("data", (part) => {
        body += part;
      });
      return asked.on("end", () => answer.writeHead(500).end('{"message":"seen"}'));
    });
    const socket = join(dir, "engine.sock");
    await new Promise<void>((resolve) => engine.listen(socket, resolve));
    const { code } = await run("docker", ["-H", `unix://${socket}`, "create", "--gpus", words, "image"]);
    engine.close();
    expect(code).not.toBe(0);
    const [request] = created.parse(JSON.parse(body)).HostConfig.DeviceRequests;
    expect(request).toMatchObject({ Driver: driver, DeviceIDs: ids, Capabilities: [["gpu"]] });
  });
});
