import { parse } from "yaml";
import { llamacpp } from "../../configs/engines/llamacpp";
import { renderText } from "../../configs/kit/text";
import { llamaSwapCommand, llamaSwapFile } from "../../configs/plan/llamaSwap";
import { testSecrets } from "../support/stacks";
import documented from "./llamaSwap.json";

const model = {
  ...{ name: "m", command: ["/app/llama-server"], env: { A: "b" }, port: 9000 },
  ...{ healthPath: "/health", readySeconds: 300, idleSeconds: 60 },
};
const config = parse(renderText(llamaSwapFile([model]), testSecrets));

test("every key of a slot's configuration is one that llama-swap documents", () => {
  const { models, performance, routing } = config;
  const used = {
    settings: config,
    models: models.m,
    performance,
    routing,
    router: routing.router,
    groups: routing.router.settings.groups.slot,
  };
  for (const [section, keys] of Object.entries(used))
    expect([
      section,
      Object.keys(keys).filter((key) => !documented[section as keyof typeof used].includes(key)),
    ]).toEqual([section, []]);
  expect(documented.logToStdout).toContain(config.logToStdout);
});

test("every flag of its command is one that llama-swap has", () => {
  const flags = llamaSwapCommand("/etc/gpubox/llama-swap.yaml", 6000).filter((word) => word.startsWith("-"));
  expect(flags.filter((flag) => !documented.flags.includes(flag))).toEqual([]);
});

test("llama-swap has every route on which llama-server is asked", () => {
  const asked = (llamacpp.protocols ?? []).map(({ path }) => `POST ${path}`);
  expect([...asked, "GET /health"].filter((route) => !documented.routes.includes(route))).toEqual([]);
});
