import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { output } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { type Recipe, recipeReference } from "../../platform/stack/recipes";
import type { LoadBox } from "../load/box";
import { keptOpen } from "../load/exchange";
import { containersOf } from "../support/box";
import { llamaSwapProgram } from "../support/llamaSwap";
import { until } from "../support/wait";
import { memoryMiB } from "./beside";
import { table } from "./figures";
import { compare, type Way } from "./overhead";
import { pulumi } from "./pulumi";
import { addressOf } from "./start";

const PORT = 4000;

/** What somebody could put in front of the same server. */
interface Rival {
  title: string;
  suffix: string;
  image: Recipe;
  /** Contents of its /config, given the server's address. */
  config: (server: string) => string;
  command: string[];
  mounts?: string[];
}

const RIVALS: Rival[] = [
  {
    title: "LiteLLM as it comes",
    suffix: "litellm",
    image: "gateway",
    config: (server) => `model_list:
  - model_name: echo
    litellm_params: { model: openai/echo, api_base: "http://${server}/v1", api_key: none }
general_settings: { master_key: os.environ/KEY }
`,
    command: ["litellm", "--config", "/config", "--port", `${PORT}`],
  },
  {
    title: "HAProxy",
    suffix: "haproxy",
    image: "edge",
    config: (server) => `defaults
  mode http
  timeout client 60s
  timeout connect 5s
  timeout server 60s
frontend in
  bind :${PORT}
  default_backend out
backend out
  http-reuse always
  server one ${server}
`,
    command: ["haproxy", "-W", "-db", "-f", "/config"],
  },
  {
    title: "llama-swap",
    suffix: "llama-swap",
    image: "base",
    config: (server) => `models:
  echo:
    cmd: sleep infinity
    proxy: http://${server}
    checkEndpoint: none
`,
    command: ["/llama-swap", "--config", "/config", "--listen", `:${PORT}`],
    mounts: [`${llamaSwapProgram}:/llama-swap:ro`],
  },
];

/**
 * The same requests through what a person could use instead of a box, beside the box: a proxy, a swapper of models, and LiteLLM with
 * a config of five lines, which all are compared with; last the server itself, without anything in front.
 */
export async function benchRivals(box: LoadBox, requests: number, say: (line: string) => void) {
  const { stack } = box.project;
  // The container and its network have one name.
  const network = `gpubox-${stack}-edge`;
  const stub = `gpubox-${stack}-stub`;
  const folder = mkdtempSync(join(tmpdir(), "gpubox-bench-rivals-"));
  const rivals = RIVALS.filter(({ suffix }) => suffix !== "llama-swap" || llamaSwapProgram !== "");
  const way = (title: string, host: string, port = PORT): Way => ({
    title,
    target: keptOpen(host, port, box.key),
    model: "echo",
  });
  try {
    chmodSync(folder, 0o755);
    const edge = await addressOf(network, network);
    box.edit((config) => {
      config["gpubox:gateway"]!.hosts = [edge];
    });
    await pulumi(box.project, ["up", "--yes", "--skip-preview"]);
    const server = { host: await addressOf(stub, network), port: 8000 };
    const started: Way[] = [];
    for (const rival of rivals) started.push(way(rival.title, await start(rival, server)));
    const { gateway } = await containersOf(stack);
    const figures = await compare("in front of it", requests, say, [
      ...started.slice(0, 1),
      way("the box's gateway", await addressOf(gateway!, network)),
      way("the box, through its edge", edge),
      ...started.slice(1),
      way("the server alone", server.host, server.port),
    ]);
    const memory = await Promise.all([
      ...rivals.map(({ suffix }) => memoryMiB(name(suffix))),
      memoryMiB(gateway!),
      memoryMiB(network),
    ]);
    const titles = [...rivals.map(({ title }) => title), "the box's gateway", "the box's edge"];
    const rows = titles.map((title, index) => [title, memory[index]!.toFixed(0)]);
    say(`\n${table(["memory after that", "MiB"], rows)}`);
    return { figures, memoryMiB: Object.fromEntries(rows) };
  } finally {
    for (const { suffix } of rivals) await output("docker", ["rm", "--force", "--volumes", name(suffix)]);
    rmSync(folder, { recursive: true });
  }

  function name(suffix: string): string {
    return `gpubox-${stack}-${suffix}`;
  }

  async function start(rival: Rival, server: { host: string; port: number }): Promise<string> {
    const config = join(folder, rival.suffix);
    writeFileSync(config, rival.config(`${server.host}:${server.port}`));
    const mounts = [`${config}:/config:ro`, ...(rival.mounts ?? [])];
    await output(
      "docker",
      [
        ...["run", "--detach", "--name", name(rival.suffix), "--label", `gpubox.stack=${stack}`],
        ...["--network", network, "--tmpfs", "/tmp", "--env", "KEY", "--env", "HOME=/tmp"],
        ...mounts.flatMap((one) => ["--volume", one]),
        ...[
          "--entrypoint",
          rival.command[0]!,
          recipeReference(packageDir, rival.image),
          ...rival.command.slice(1),
        ],
      ],
      { env: { KEY: box.key } },
    );
    const host = await addressOf(name(rival.suffix), network);
    const url = `http://${host}:${PORT}/v1/models`;
    await until(`an answer of ${rival.title}`, () => fetch(url).then(Boolean, () => false));
    return host;
  }
}
