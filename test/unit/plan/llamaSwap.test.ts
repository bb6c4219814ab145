import { parse } from "yaml";
import { llamaSwapConfig, llamaSwapFile, type OnDemandModel } from "../../../configs/plan/llamaSwap";

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

import { renderText } from "../../../configs/kit/text";

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

  test("asks for the key that the models' servers ask for", () => {
    const text = renderText(llamaSwapFile([model("a")]), { saltKey: "sk-PLANTED" });
    expect(parse(text)).toMatchObject({
      apiKeys: [renderText([{ secret: "saltKey", as: "derived" }], { saltKey: "sk-PLANTED" })],
      models: { a: { ttl: 60 } },
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
