import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { llamaSwapCommand, llamaSwapConfig } from "../../configs/plan/llamaSwap";
import { output, run } from "../../platform/process";
import { cannedModel } from "../../tools/cannedModel";
import { llamaSwapProgram } from "../support/llamaSwap";
import { needs } from "../support/needs";
import { engineImage, eventually, LockLab } from "./deviceLock/lab";

const MINUTE = 60_000;
const IDLE_SECONDS = 4;
const PORT = 8080;

needs("llama-swap", "the image gpubox/llamacpp")("models that share a slot", () => {
  const lab = new LockLab();
  let endpoint: string;

  const server = (name: string, port: number) => {
    const lock = lab.plan({
      devices: ["0"],
      engine: {
        entrypoint: [
          "/app/llama-server",
          "--model",
          `/etc/gpubox/${name}.gguf`,
          "--port",
          String(port),
          "--ctx-size",
          "512",
        ],
        healthTest: ["CMD", "curl", "-fsS", `http://127.0.0.1:${port}/health`],
      },
    });
    writeFileSync(join(lab.dir, "backend", `${name}.gguf`), cannedModel({ answer: `this is ${name}` }));
    return {
      ...{ name, port, healthPath: "/health", readySeconds: 60, idleSeconds: IDLE_SECONDS },
      command: lock.entrypoint,
      env: lock.env,
    };
  };
  const ask = async (model: string) => {
    const answer = await fetch(`${endpoint}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "ping" }] }),
    });
    const body = (await answer.json()) as { choices?: { message: { content: string } }[] };
    return body.choices?.[0]?.message.content ?? answer.status;
  };
  const loaded = async () => {
    const { running } = (await (await fetch(`${endpoint}/running`)).json()) as {
      running: { model: string; state: string }[];
    };
    return running.filter(({ state }) => state === "ready").map(({ model }) => model);
  };

  beforeAll(async () => {
    await lab.open(["0"]);
    const [program, ...args] = llamaSwapCommand("/etc/gpubox/llama-swap.yaml", PORT);
    lab.write("llama-swap.yaml", llamaSwapConfig([server("one", 9001), server("two", 9002)]));
    for (const file of ["one.gguf", "two.gguf"]) chmodSync(join(lab.dir, "backend", file), 0o644);
    // As a slot on devices does: it watches them and locks none.
    const { entrypoint, env } = lab.plan({
      devices: ["0"],
      engine: {
        entrypoint: [program!, ...args],
        healthTest: ["CMD", "curl", "-fsS", `http://127.0.0.1:${PORT}/health`],
      },
    });
    const watching = { ...env, GPUBOX_LOCKS: "" };
    const name = lab.adopt("slot");
    await output("docker", [
      ...["run", "--detach", "--init", "--name", name, "--user", "65534:65534", "--read-only"],
      ...["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp"],
      ...["--volume", `${llamaSwapProgram}:${program}:ro`],
      ...["--volume", `${join(lab.dir, "backend")}:/etc/gpubox:ro`],
      ...["--volume", `${join(lab.dir, "locks")}:/run/gpubox/locks:ro`],
      ...Object.entries(watching).flatMap((pair) => ["--env", pair.join("=")]),
      ...["--entrypoint", entrypoint[0]!, engineImage, ...entrypoint.slice(1)],
    ]);
    const format = "{{.NetworkSettings.IPAddress}}";
    const address = (await output("docker", ["inspect", "--format", format, name])).trim();
    endpoint = `http://${address}:${PORT}`;
    await eventually(
      async () => (await fetch(`${endpoint}/health`).catch(() => undefined))?.status === 200,
      "llama-swap answers",
    );
  }, MINUTE);
  afterAll(() => lab.close(), MINUTE);

  test("no model is loaded before the first request", async () => {
    expect(await loaded()).toEqual([]);
  });

  test(
    "a request loads its model, and a request for the other one takes over the slot",
    async () => {
      expect(await ask("one")).toBe("this is one");
      expect(await loaded()).toEqual(["one"]);
      expect(await ask("two")).toBe("this is two");
      expect(await loaded()).toEqual(["two"]);
    },
    MINUTE,
  );

  test(
    "requests to both at once are all answered, each by its own model",
    async () => {
      const asked = ["one", "two", "one", "two", "two", "one"];
      expect(await Promise.all(asked.map(ask))).toEqual(asked.map((name) => `this is ${name}`));
    },
    MINUTE,
  );

  test(
    "an idle model is unloaded, and its server is gone",
    async () => {
      await ask("one");
      await eventually(async () => (await loaded()).length === 0, "nothing is loaded");
      await eventually(async () => {
        const { stdout } = await run("docker", ["top", lab.name("slot"), "-o", "args"]);
        return !stdout.includes("llama-server");
      }, "no llama-server runs");
      expect(await ask("one")).toBe("this is one");
    },
    MINUTE,
  );

  test(
    "a load waits for its turn on the device, and the request with it",
    async () => {
      await lab.start("beside", { devices: ["0"], loadSeconds: 600 });
      await lab.until("beside", "loading");
      await eventually(async () => (await loaded()).length === 0, "nothing is loaded");
      const said = async (words: string) => (await lab.log("slot")).split(words).length - 1;
      const [waited, started] = [
        await said("waits for its turn on device-0"),
        await said("starts the engine"),
      ];
      const asked = ask("two");
      await eventually(async () => (await said("waits for its turn on device-0")) > waited, "two waits");
      expect(await said("starts the engine")).toBe(started);
      await lab.docker("kill", "beside");
      expect(await asked).toBe("this is two");
    },
    MINUTE,
  );

  test("a model that the slot does not have is refused", async () => {
    expect(await ask("three")).toBe(404);
  });

  test(
    "a slot that is stopped stops what it has loaded, and ends by itself",
    async () => {
      expect(await ask("one")).toBe("this is one");
      await lab.docker("stop", "slot", "--time", "40");
      expect(await lab.exitCode("slot")).toBe(0);
    },
    MINUTE,
  );
});
