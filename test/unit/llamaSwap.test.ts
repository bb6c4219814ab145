import { parse } from "yaml";
import { llamaSwapConfig, type OnDemandModel, slotProblems } from "../../configs/plan/llamaSwap";

const model = (name: string, more: Partial<OnDemandModel> = {}): OnDemandModel => ({
  name,
  command: ["/app/llama-server", "--model", "/m/it's.gguf"],
  env: { GPUBOX_LOCKS: "device-0" },
  port: 9000,
  healthPath: "/health",
  readySeconds: 300,
  idleSeconds: 60,
  ...more,
});

describe("the configuration of a slot", () => {
  test("lets one of its models be loaded at a time, for as long as the slowest needs to load", () => {
    const config = parse(llamaSwapConfig([model("a"), model("b", { readySeconds: 900 })]));
    expect(config.healthCheckTimeout).toBe(900);
    expect(config.routing.router.settings.groups).toEqual({
      slot: { swap: true, exclusive: true, members: ["a", "b"] },
    });
  });

  test("starts each server as it would run alone, on its own loopback port", () => {
    expect(parse(llamaSwapConfig([model("org/a:1")])).models).toEqual({
      "org/a:1": {
        cmd: "'/app/llama-server' '--model' '/m/it'\\''s.gguf'",
        env: ["GPUBOX_LOCKS=device-0"],
        proxy: "http://127.0.0.1:9000",
        checkEndpoint: "/health",
        ttl: 60,
        concurrencyLimit: 1000,
      },
    });
  });

  test("keeps no prompts", () => {
    expect(parse(llamaSwapConfig([model("a")])).captureBuffer).toBe(0);
  });

  test("refuses what llama-swap would replace", () => {
    expect(() => llamaSwapConfig([model("a", { command: ["x", `\${PORT}`] })])).toThrow(
      `llama-swap would replace \${PORT}`,
    );
  });
});

describe("models that claim one slot", () => {
  const member = (name: string, engine = "llamacpp", devices: (string | number)[] = [0]) => ({
    name,
    engine,
    devices,
  });

  test("may be several of llama.cpp on the same devices", () => {
    expect(slotProblems("big", [member("a", "llamacpp", [0, 1]), member("b", "llamacpp", [1, 0])])).toEqual(
      [],
    );
  });

  test("are refused where another engine would be needed, with the way out", () => {
    expect(slotProblems("big", [member("a"), member("b", "vllm")])).toEqual([
      {
        path: "gpubox:models.b.start",
        what: "Models of the engine vllm cannot share the slot big: it holds llama-server only.",
        fix: "Write start: manual, and switch with `npm run model stop` and `start`; or serve a GGUF with engine: llamacpp.",
      },
    ]);
  });

  test("are refused on different devices", () => {
    expect(slotProblems("big", [member("a"), member("b", "llamacpp", [1])])[0]?.what).toBe(
      "The slot big runs on the devices 0 for a and 1 for b.",
    );
  });
});
