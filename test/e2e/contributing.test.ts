import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse, stringify } from "yaml";
import { renderText } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import { modelPort } from "../../configs/stack/instances";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { scratch } from "../support/allocate";
import { removeFolder } from "../support/leftovers";
import { placeProject } from "../support/project";
import { testSecrets } from "../support/stacks";

/** A fenced block, and where the line above it says that it goes. */
interface Block {
  language: string;
  text: string;
  /** Undefined: to no file. */
  file?: string;
  /** Start of the line that it goes below. Undefined: it is the whole file. */
  below?: string;
}

const page = readFileSync(join(packageDir, "CONTRIBUTING.md"), "utf8");

/** The blocks of one section, in its order. */
function blocksOf(section: string): Block[] {
  const text = page.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? "";
  const fences = text.matchAll(/([^\n]*)\n\n```(\w+)\n(.*?)```/gs);
  return [...fences].map(([, above = "", language = "", code = ""]) => {
    const place = /^(?:New file|In) `([^`]+)`(?:, below `([^`]+)`)?.*:$/.exec(above);
    return { language, text: code, file: place?.[1], below: place?.[2] };
  });
}

/** Does with a block what its heading says. */
function apply(dir: string, { file, below, text }: Block): void {
  const path = join(dir, file!);
  if (!below) {
    writeFileSync(path, text, { flag: "wx" });
    return;
  }
  const lines = readFileSync(path, "utf8").split("\n");
  const found = lines.flatMap((line, index) => (line.trim().startsWith(below) ? [index] : []));
  if (found.length !== 1) throw new Error(`${file} has ${found.length} lines that begin with ${below}`);
  lines.splice(found[0]! + 1, 0, text.trimEnd());
  writeFileSync(path, lines.join("\n"));
}

const blocks = blocksOf("Add an engine");
const dir = scratch("contributing");

beforeAll(() => {
  placeProject(dir, { program: "sources" });
  for (const block of blocks.filter(({ file }) => file)) apply(dir, block);
});
afterAll(() => removeFolder(dir));

test("each block of code names its file; the others are commands, and what a user writes", () => {
  const others = blocks.filter(({ file }) => !file).map(({ language }) => language);
  expect(others).toEqual(["sh", "yaml"]);
  expect(blocks.length).toBeGreaterThan(others.length + 5);
});

test("every command of the page succeeds on what the page adds", async () => {
  const commands = blocks.find(({ language }) => language === "sh")!.text;
  // Of the caller's shell nothing may decide: this runs inside of a test.
  const env = { JEST_WORKER_ID: undefined, NODE_ENV: undefined };
  const { code, stdout, stderr } = await run("bash", ["-ec", commands], {
    cwd: dir,
    env,
    timeoutMs: 580_000,
  });
  expect({ code, said: code === 0 ? "" : `${stdout}\n${stderr}` }).toEqual({ code: 0, said: "" });
  expect(stderr).toMatch(/^PASS unit test\/unit\/engines\/engineEcho\.test\.ts/m);
  expect(stderr).toMatch(/^PASS contract test\/contract\/engines\.test\.ts/m);
  expect(readFileSync(join(dir, "stack.schema.json"), "utf8")).toContain('"const": "echo"');
  expect(readFileSync(join(dir, "docs/features.md"), "utf8")).toMatch(/^\| echo /m);
}, 600_000);

test("the program makes a box of it: image, command, port, valve, route", async () => {
  const config = parse(blocks.find(({ language }) => language === "yaml")!.text);
  writeFileSync(join(dir, "Pulumi.stranger.yaml"), stringify({ config }));
  const secrets = join(dir, ".gpubox/secrets.stranger.json");
  mkdirSync(dirname(secrets), { recursive: true });
  writeFileSync(secrets, JSON.stringify(testSecrets), { mode: 0o600 });

  const compose = ["--no-install", "gpubox", "compose", "--stack", "stranger"];
  await output("npx", compose, { cwd: dir });
  const { services } = parse(readFileSync(join(dir, "docker-compose.stranger.yaml"), "utf8"));
  const port = String(modelPort("parrot"));
  expect(services["backend-parrot"]).toMatchObject({
    image: "ghcr.io/acme/echo:1.0",
    container_name: "gpubox-stranger-backend-parrot",
    entrypoint: ["echo-server"],
    command: [
      ...["--model", "/srv/models/parrot", "--served-name", "parrot", "--host", "0.0.0.0", "--port", port],
      ...["--api-key-file", "/etc/gpubox/api-key", "--max-tokens", "512", "--dtype", "bfloat16"],
    ],
    networks: { backends: { aliases: ["backend-parrot"] } },
    mem_limit: "4096m",
  });
  expect(services["backend-parrot"].healthcheck.test.join(" ")).toContain(`/dev/tcp/127.0.0.1/${port}`);
  expect(services["valve-parrot"]).toMatchObject({
    container_name: "gpubox-stranger-valve-parrot",
    networks: { models: { aliases: ["valve-parrot"] }, backends: {} },
  });

  // What a Compose file does not show: the files that the containers read.
  const { valve, gateway } = await plannedBox();
  const haproxy = renderText(valve.directory.files["haproxy.cfg"]!.text, testSecrets).split("\n");
  const lines = haproxy
    .map((line) => line.trim())
    .filter((line) => /^(bind :|server backend|http-check send)/.test(line));
  expect(lines).toEqual([
    `bind :${port}`,
    "http-check send meth GET uri /ready hdr Host backend-parrot",
    `server backend backend-parrot:${port}`,
  ]);
  const litellm = parse(renderText(gateway.directory.files["config.yaml"]!.text, testSecrets));
  expect(litellm.model_list).toEqual([
    expect.objectContaining({
      model_name: "parrot",
      litellm_params: expect.objectContaining({
        model: "hosted_vllm/parrot",
        api_base: `http://valve-parrot:${port}/v1`,
        api_key: "os.environ/GPUBOX_BACKEND_KEY",
      }),
    }),
  ]);
}, 120_000);

/** The plan of the copy's own code. */
async function plannedBox() {
  const program = `import { openStack } from "./platform/stack/openStack";
    openStack("stranger").then(({ plan }) => console.log(JSON.stringify(plan)));`;
  const plan = JSON.parse(
    await output("npx", ["--no-install", "tsx", "-e", program], { cwd: dir }),
  ) as BoxPlan;
  return { valve: plan.backends[0]!.valve, gateway: plan.gateway };
}
