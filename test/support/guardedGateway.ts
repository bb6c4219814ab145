import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { renderText } from "../../configs/kit/text";
import { modelPort } from "../../configs/stack/instances";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { allocate, scratch } from "./allocate";
import { testPlan, testSecrets } from "./stacks";
import { until } from "./wait";

/** What came to the server behind a gateway, or to where it sends elsewhere. */
export interface Seen {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Record<string, unknown> | null;
}

/** Key to team, as LiteLLM would know them by its database. */
const KEYS: Record<string, string | null> = { "sk-a1": "a", "sk-a2": "a", "sk-b1": "b", "sk-c1": null };

const AUTH = `from litellm.proxy._types import UserAPIKeyAuth
TEAMS = ${JSON.stringify(KEYS).replaceAll("null", "None")}
async def check(request, api_key):
    if api_key not in TEAMS:
        raise Exception("no such key")
    return UserAPIKeyAuth(api_key=api_key, team_id=TEAMS[api_key])
`;

/** How the server behind it breaks its word: upstream.py. */
export const WAYS = [
  "whole",
  "cut",
  "line",
  "undone",
  "bare",
  "redirect301",
  "redirect302",
  "redirect303",
].concat(["redirect307", "redirect308", "silent", "hesitant"]);

/** Providers of LiteLLM, by the first part of a model's name. */
export const PROVIDERS = [
  "plain",
  "native",
  "openai",
  "anthropic",
  "aiohttp",
  "embed",
  "rerank",
  "hear",
] as const;

/** A real LiteLLM with the files of a planned gateway, and a server behind it; without edge, valves, database and Redis. */
export class GuardedGateway {
  private readonly name = `gpubox-${allocate("guard").stack}`;
  private readonly directory = scratch("guard");
  private gateway = "";
  private upstream = "";

  async start(values: { gateway?: object; cache?: object } = {}): Promise<this> {
    const image = recipeReference(packageDir, "gateway");
    this.writeFiles(values);
    await output("docker", ["network", "create", this.name]);
    const common = ["run", "--detach", "--network", this.name, "--tmpfs", "/tmp", "--user", "65534:65534"];
    const script = join(packageDir, "test/support/upstream.py");
    await output("docker", [
      ...[...common, "--name", `${this.name}-upstream`, "--network-alias", "upstream"],
      ...["--publish", "127.0.0.1::8000", "--volume", `${script}:/upstream.py:ro`],
      ...["--network-alias", "valve-near"],
      ...["--entrypoint", "python3", image, "/upstream.py", String(modelPort("near"))],
    ]);
    await output("docker", [
      ...[...common, "--name", `${this.name}-gateway`, "--publish", "127.0.0.1::4000"],
      ...[
        "--tmpfs",
        "/var/log/gpubox",
        "--volume",
        `${this.directory}:/etc/gpubox:ro`,
        "--env",
        "HOME=/tmp",
        "--env",
        "LITELLM_LOG=ERROR",
      ],
      ...["--env", "LITELLM_LOCAL_MODEL_COST_MAP=True", "--env", "GRACEFUL_SHUTDOWN_TIMEOUT=1"],
      ...["--env", "DRAIN_NOTICE_SECONDS=0", "--entrypoint", "sh", image, "/etc/gpubox/entrypoint.sh"],
    ]);
    this.upstream = await this.address("upstream", 8000);
    this.gateway = await this.address("gateway", 4000);
    const alive = () => answers(`${this.gateway}/health/liveliness`);
    await until("the gateway answers", alive, { seconds: 150, everyMs: 300 }).catch(async () => {
      throw new Error(await output("docker", ["logs", `${this.name}-gateway`]));
    });
    return this;
  }

  async stop(): Promise<void> {
    await run("docker", ["rm", "--force", `${this.name}-gateway`, `${this.name}-upstream`]);
    await run("docker", ["network", "rm", this.name]);
    rmSync(this.directory, { recursive: true });
  }

  /** A request of a client; `body` as it is where it is a text or a form. */
  async ask(
    path: string,
    body: unknown,
    {
      key = "sk-a1",
      headers = {} as Record<string, string>,
      signal = undefined as AbortSignal | undefined,
    } = {},
  ) {
    const raw = typeof body === "string" || body instanceof FormData;
    return fetch(`${this.gateway}${path}`, {
      method: "POST",
      signal,
      body: raw ? body : JSON.stringify(body),
      headers: {
        authorization: `Bearer ${key}`,
        ...(body instanceof FormData ? {} : { "content-type": "application/json" }),
        ...headers,
      },
    });
  }

  /** Lines of Python in a process of its own in the gateway's container; the words that they print. */
  async python(...lines: string[]): Promise<string[]> {
    const env = ["--env", "PYTHONPATH=/etc/gpubox", "--env", "LITELLM_LOCAL_MODEL_COST_MAP=True"];
    const code = ["python3", "-c", lines.join("\n")];
    return (await output("docker", ["exec", ...env, `${this.name}-gateway`, ...code])).trim().split(/\s+/);
  }

  get url(): string {
    return this.gateway;
  }

  async seen(): Promise<{ asked: Seen[]; canary: Seen[] }> {
    const { asked, canary } = await this.notes();
    return { asked, canary };
  }

  /** Paths of requests whose client closed the connection before they were answered. */
  async left(): Promise<string[]> {
    return (await this.notes()).left;
  }

  private async notes(): Promise<{ asked: Seen[]; canary: Seen[]; left: string[] }> {
    const answer = await fetch(`${this.upstream}/seen`);
    return answer.json() as Promise<{ asked: Seen[]; canary: Seen[]; left: string[] }>;
  }

  async forget(): Promise<void> {
    await fetch(`${this.upstream}/seen`, { method: "DELETE" });
  }

  /** Lines of its trajectory log. */
  async log(): Promise<Record<string, unknown>[]> {
    const read = "cat /var/log/gpubox/*/litellm-trajectory.jsonl";
    const { stdout } = await run("docker", ["exec", `${this.name}-gateway`, "sh", "-c", read]);
    return stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  private async address(role: string, port: number): Promise<string> {
    return `http://${await output("docker", ["port", `${this.name}-${role}`, `${port}/tcp`])}`;
  }

  private writeFiles({ gateway = {}, cache = {} }: { gateway?: object; cache?: object }): void {
    const plan = testPlan({
      database: { mode: "none" },
      gateway: { routing: { retries: 0 }, ...gateway },
      cache: { mode: "none", ...("ttlSeconds" in cache ? { type: "local" } : {}), ...cache },
      models: {
        ...Object.fromEntries(
          WAYS.flatMap((way) => PROVIDERS.map((one) => [`${one}-${way}`, model(one, way)])),
        ),
        // Behind a valve, whose place the same server takes; and somewhere else, where only a proxy could reach.
        near: { engine: "llamacpp", model: "file:///srv/models/near.gguf" },
        far: { engine: "openai", baseUrl: "http://far.example/v1" },
      },
    });
    for (const [name, { text }] of Object.entries(plan.gateway.directory.files))
      writeFileSync(join(this.directory, name), renderText(text, testSecrets), { mode: 0o644 });
    // LiteLLM runs as nobody.
    chmodSync(this.directory, 0o755);
    const config = parse(renderText(plan.gateway.directory.files["config.yaml"]!.text, testSecrets));
    config.general_settings.custom_auth = "test_auth.check";
    // LiteLLM's provider that asks by aiohttp itself; no engine of gpubox has it.
    for (const one of config.model_list)
      if (one.model_name.startsWith("aiohttp-")) one.litellm_params.model = "aiohttp_openai/m";
    writeFileSync(join(this.directory, "config.yaml"), stringify(config));
    writeFileSync(join(this.directory, "test_auth.py"), AUTH);
  }
}

function model(provider: (typeof PROVIDERS)[number], way: string): object {
  const root = `http://upstream:8000/${way}`;
  const server = { engine: "openai", baseUrl: `${root}/v1`, model: "m" };
  switch (provider) {
    case "native":
      return { ...server, messages: "native" };
    case "openai":
      return { ...server, provider: "openai" };
    case "anthropic":
      return { engine: "cloud", model: "anthropic/m", apiKey: "none", apiBase: root };
    case "embed":
      return { ...server, mode: "embedding" };
    case "rerank":
      return { ...server, mode: "rerank" };
    case "hear":
      return { ...server, provider: "openai", mode: "audio_transcription" };
    default:
      return server;
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(3_000) })).ok;
  } catch {
    return false;
  }
}
