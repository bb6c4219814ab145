import { chmodSync, copyFileSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { SLEEP_ASSETS, SLEEP_MIDDLEWARE, sleepCommands, sleepEnv } from "../../configs/engines/vllmSleep";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { cannedSafetensors } from "../../tools/cannedSafetensors";
import { allocate, scratch } from "../support/allocate";
import { needs } from "../support/needs";
import { writeRepository } from "../support/repository";
import { until } from "../support/wait";

const MINUTE = 60_000;
const KEY = "sk-backend";

/** On the CPU vLLM goes through the whole of sleep and wake, reads the weights again, and frees nothing. */
needs("the image gpubox/vllm-cpu")("the real vLLM, told to sleep and wake", () => {
  const name = `gpubox-${allocate("vllm-sleep").stack}`;
  let folder: string;
  let address: string;

  const orders = (words: string[]) => run("docker", ["exec", name, ...words]);
  const ask = (path: string, body?: object) =>
    fetch(`http://${address}:8000${path}`, {
      method: body ? "POST" : "GET",
      headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
      ...(body && { body: JSON.stringify(body) }),
    });
  const answer = async () => {
    const question = { messages: [{ role: "user", content: "ping" }], max_tokens: 24, temperature: 0 };
    const said = await (await ask("/v1/chat/completions", { model: "m", ...question })).json();
    return (said as { choices: { message: { content: string } }[] }).choices[0]!.message.content;
  };

  beforeAll(async () => {
    folder = scratch("vllm-sleep");
    chmodSync(folder, 0o755);
    writeRepository(join(folder, "model"), cannedSafetensors({ answer: "this is m" }));
    mkdirSync(join(folder, "config"));
    for (const [file, asset] of Object.entries(SLEEP_ASSETS))
      copyFileSync(join(packageDir, "assets", asset), join(folder, "config", file));
    const env = {
      ...sleepEnv({ env: {} }),
      ...{ VLLM_API_KEY: KEY, HF_HUB_OFFLINE: "1", VLLM_NO_USAGE_STATS: "1" },
    };
    await output("docker", [
      ...["run", "--detach", "--name", name, "--memory", "3g", "--shm-size", "1g"],
      ...["--cap-add", "SYS_NICE", "--security-opt", "seccomp=unconfined"],
      ...["--volume", `${folder}/model:/model:ro`, "--volume", `${folder}/config:/etc/gpubox:ro`],
      ...Object.entries(env).flatMap((pair) => ["--env", pair.join("=")]),
      ...[recipeReference(packageDir, "vllm-cpu"), "/model", "--served-model-name", "m"],
      ...["--dtype", "float32", "--enforce-eager", "--max-model-len", "4096"],
      ...["--kv-cache-memory-bytes", String(64 * 2 ** 20), "--host", "0.0.0.0", "--port", "8000"],
      ...["--middleware", SLEEP_MIDDLEWARE],
    ]);
    const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    address = (await output("docker", ["inspect", "--format", format, name])).trim();
    const ready = async () => (await ask("/health").catch(() => undefined))?.status === 200;
    await until("vLLM answers", ready, { seconds: 540, everyMs: 1000 });
  }, 10 * MINUTE);
  afterAll(async () => {
    await run("docker", ["rm", "--force", name]);
    if (folder) rmSync(folder, { recursive: true });
  }, MINUTE);

  test.each([1, 2])(
    "falls asleep at level %i, passes its health check there, and answers as before once it is awake",
    async (level) => {
      const { sleep, wake } = sleepCommands(level);
      const before = await answer();
      expect(await orders(sleep)).toMatchObject({ code: 0, stderr: "" });
      expect((await ask("/health")).status).toBe(200);
      expect(await orders(wake)).toMatchObject({ code: 0, stderr: "" });
      expect([before, await answer()]).toEqual(["this is m", "this is m"]);
    },
    MINUTE,
  );

  test("has none of the routes that let a client do so, whatever key it sends", async () => {
    const posted = ["/sleep?level=1", "/wake_up", "/collective_rpc", "/reset_prefix_cache"];
    const answers = await Promise.all([
      ...posted.map((path) => ask(path, {})),
      ...["/is_sleeping", "/server_info"].map((path) => ask(path)),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 404));
  });

  test("says why it does not follow", async () => {
    const { code, stderr } = await orders([...sleepCommands(1).sleep.slice(0, 2), "dream", "1"]);
    expect([code, stderr]).toEqual([1, "gpubox: vLLM does not dream: KeyError: 'dream'\n"]);
  });
});
