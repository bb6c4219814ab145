import { randomBytes } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildRecipes } from "../../operations/images/buildRecipes";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { cannedModel } from "../../tools/cannedModel";
import { scratch } from "../support/allocate";
import { needs } from "../support/needs";
import { until } from "../support/wait";

/** Seconds in which a server that works at an answer ends: far less than its grace period. */
const ENDS_WITHIN = 10;
const GRACE = 30;
/** An answer goes on for minutes within it. */
const CONTEXT = 400_000;

/** Sends SIGTERM to a thread of the server that is not its first, as the kernel may. Which one: the last. */
const TERM_THREAD = `
import ctypes, os, platform
TGKILL = {"x86_64": 234, "aarch64": 131}[platform.machine()]
def is_server(pid):
    words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\\0")
    return b"python" in words[0] and b"/app/llama-server" in words
pid = next(int(one) for one in os.listdir("/proc") if one.isdigit() and is_server(one))
thread = max(int(t) for t in os.listdir(f"/proc/{pid}/task"))
assert thread != pid
assert ctypes.CDLL(None).syscall(TGKILL, pid, thread, 15) == 0
`;

needs("docker")("the recipe's llama-server, in the middle of an answer", () => {
  const name = `gpubox-ends-${randomBytes(4).toString("hex")}`;
  let image: string;
  let model: string;

  beforeAll(async () => {
    const docker = "unix:///var/run/docker.sock";
    image = (await buildRecipes(["llamacpp"], { projectDir: packageDir, docker, log: () => {} })).llamacpp!;
    const folder = scratch("ends");
    chmodSync(folder, 0o755);
    model = join(folder, "m.gguf");
    writeFileSync(model, cannedModel({ context: CONTEXT }), { mode: 0o644 });
  }, 600_000);

  beforeEach(async () => {
    const limits = ["--init", "--network", "none", "--memory", "2g", "-v", `${model}:/m.gguf:ro`];
    const server = [image, "--model", "/m.gguf", "--ctx-size", String(CONTEXT), "--threads", "1"];
    await output("docker", ["run", "-d", "--name", name, ...limits, ...server]);
    const inside = (...words: string[]) => run("docker", ["exec", name, ...words]);
    await until("it answers", async () => (await inside("curl", "-sf", "localhost:8080/health")).code === 0, {
      seconds: 60,
    });
    const question = JSON.stringify({ prompt: "hi", n_predict: -1, ignore_eos: true, stream: true });
    const ask = `curl -sN localhost:8080/completion -d '${question}' >/tmp/answer &`;
    await output("docker", ["exec", "-d", name, "sh", "-c", `${ask} wait`]);
    await until("it speaks", async () => (await inside("test", "-s", "/tmp/answer")).code === 0);
  });
  afterEach(() => run("docker", ["rm", "-f", name]));

  const ended = async () =>
    (await output("docker", ["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", name])) ===
    "exited 0";

  test("ends at once with `docker stop`", async () => {
    const began = performance.now();
    await output("docker", ["stop", "--time", String(GRACE), name]);
    expect((performance.now() - began) / 1_000).toBeLessThan(ENDS_WITHIN);
    expect(await ended()).toBe(true);
  });

  test("ends also where the signal reaches one of its other threads", async () => {
    await output("docker", ["exec", name, "python3", "-c", TERM_THREAD]);
    await until("it has ended", ended, { seconds: ENDS_WITHIN });
  });
});
