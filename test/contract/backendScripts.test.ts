import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bashHealth } from "../../configs/engines/container";
import { envFile, renderText } from "../../configs/kit/text";
import { until } from "../support/wait";

const assets = join(__dirname, "../../assets");
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-backend-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe("the health check that needs only bash", () => {
  let server: Server;
  let status = 200;

  beforeAll(async () => {
    server = createServer((request, response) => {
      response.writeHead(request.url === "/health" ? status : 404).end("{}");
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
  });
  afterAll(() => {
    server.close();
  });

  async function checked(
    path: string,
    port = (server.address() as AddressInfo).port,
  ): Promise<number | null> {
    const [, program = "", ...args] = bashHealth(port, path);
    const child = spawn(program, args, { stdio: "ignore" });
    return new Promise((resolve) => child.once("exit", resolve));
  }

  test.each([
    [200, 0],
    [503, 1],
    [500, 1],
  ])("takes %i for exit code %i", async (answer, code) => {
    status = answer;
    expect(await checked("/health")).toBe(code);
  });

  test("fails on another route and when nobody listens", async () => {
    status = 200;
    expect(await checked("/other")).toBe(1);
    expect(await checked("/health", 9)).not.toBe(0);
  });
});

test("the younger of two engines is the first to end when the host's memory goes", () => {
  writeFileSync(join(dir, "meminfo"), "MemTotal: 9 kB\nMemFree: 5 kB\nMemAvailable: 2097152 kB\n");
  const ask = ". memory.sh; available_mib; for age in 0 600 86400; do floor_at_age $age; done";
  const env = { PATH: process.env.PATH, GPUBOX_MEMORY_FLOOR: "1000", GPUBOX_MEMINFO: join(dir, "meminfo") };
  const { stdout } = spawnSync("sh", ["-c", ask.replace("memory.sh", join(assets, "backend/memory.sh"))], {
    env,
  });
  expect(stdout.toString()).toBe("2048\n1000\n750\n500\n");
});

test("an engine gets its file's variables and its arguments unchanged", () => {
  const key = 'it\'s "$HOME" \\ `x`';
  const text = renderText(envFile({ VLLM_API_KEY: [{ secret: "k", as: "shell" }] }).text, { k: key });
  writeFileSync(join(dir, "backend.env"), text);
  const script = readFileSync(join(assets, "backend/with-env.sh"), "utf8").replaceAll("/etc/gpubox", dir);
  const program = "process.stdout.write(JSON.stringify([process.env.VLLM_API_KEY, process.argv.slice(1)]))";
  const run = spawnSync("sh", ["-c", script, "sh", process.execPath, "-e", program, "--", "a b", "'"], {
    env: { PATH: process.env.PATH },
  });
  expect(JSON.parse(run.stdout.toString())).toEqual([key, ["a b", "'"]]);
});

describe("Ollama's entrypoint, with a stand-in for ollama", () => {
  /** Answers like ollama: `list` once it serves, `ps` with what was run, `run` loads. */
  const STAND_IN = `#!/bin/bash
cd "$GPUBOX_DIR"
case "$1" in
  serve) echo $$ > serving; trap 'echo stopped > ended; exit 7' TERM; while :; do sleep 0.1; done ;;
  list) [ -f serving ] ;;
  ps) cat loaded 2>/dev/null || true ;;
  run) echo "$2" >> runs; echo "$2 abc 20 GB" > loaded ;;
esac
`;

  const eventually = (check: () => boolean) => until(`${check}`, check);

  test("loads the model at the start and again when it is gone, and ends with the server's exit code", async () => {
    writeFileSync(join(dir, "ollama"), STAND_IN);
    chmodSync(join(dir, "ollama"), 0o755);
    const env = { PATH: `${dir}:${process.env.PATH}`, GPUBOX_DIR: dir };
    const child = spawn("bash", [join(assets, "ollama/entrypoint.sh"), "qwen3-coder:30b"], {
      env,
      stdio: "ignore",
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const runs = () => (existsSync(join(dir, "runs")) ? readFileSync(join(dir, "runs"), "utf8") : "");
    await eventually(() => runs() === "qwen3-coder:30b\n");
    rmSync(join(dir, "loaded"));
    await eventually(() => runs() === "qwen3-coder:30b\nqwen3-coder:30b\n");
    child.kill("SIGTERM");
    expect(await ended).toBe(7);
    expect(existsSync(join(dir, "ended"))).toBe(true);
  }, 30_000);
});

test("without the driver's tools, dash goes on where a device of the container is gone, and says so", () => {
  const script = readFileSync(join(assets, "backend/device.sh"), "utf8").replaceAll(
    "/dev/nvidia",
    `${dir}/nvidia`,
  );
  const reachable = () =>
    spawnSync("/bin/dash", ["-c", `${script}\ngpus_reachable && echo yes || echo no`], {
      // No program is in reach, so nvidia-smi neither.
      env: { PATH: dir, GPUBOX_GPUS: "1" },
      encoding: "utf8",
    });
  writeFileSync(join(dir, "nvidia0"), "");
  expect(reachable()).toMatchObject({ status: 0, stdout: "yes\n", stderr: "" });
  symlinkSync(join(dir, "gone"), join(dir, "nvidia1"));
  expect(reachable()).toMatchObject({ status: 0, stdout: "no\n", stderr: "" });
});
