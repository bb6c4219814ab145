import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildRecipes } from "../../operations/images/buildRecipes";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { cannedModel, DEFAULT_ANSWER } from "../../tools/cannedModel";
import { scratch } from "../support/allocate";
import { needs } from "../support/needs";
import { ask, protocols } from "../support/protocols";

const docker = process.env.DOCKER_HOST || "unix:///var/run/docker.sock";
// The base image is made with debootstrap, which needs root.

const MINUTES = 60_000;

needs("root", "docker")("Ollama from its recipe", () => {
  let folder: string;
  let container: string;
  let endpoint: string;

  beforeAll(async () => {
    const images = await buildRecipes(["ollama"], { projectDir: packageDir, docker, log: () => {} });
    folder = scratch("ollama");
    chmodSync(folder, 0o755);
    writeFileSync(join(folder, "canned.gguf"), cannedModel());
    writeFileSync(join(folder, "Modelfile"), "FROM /mnt/canned.gguf\n");
    container = await output("docker", [
      ...["run", "--detach", "--init", "--read-only", "--tmpfs", "/tmp", "--user", "65534:65534"],
      ...["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "bridge"],
      ...["--env", "HOME=/tmp", "--env", "OLLAMA_NO_CLOUD=1", "--volume", `${folder}:/mnt:ro`],
      ...["--publish", "127.0.0.1::11434", images.ollama!],
    ]);
    endpoint = `http://${await output("docker", ["port", container, "11434/tcp"])}`;
    const create = ["exec", container, "ollama", "create", "canned", "-f", "/mnt/Modelfile"];
    const end = Date.now() + MINUTES;
    while ((await run("docker", create)).code !== 0)
      if (Date.now() > end) throw new Error((await run("docker", ["logs", container])).stderr.slice(-2000));
  }, 20 * MINUTES);
  afterAll(async () => {
    if (container) await run("docker", ["rm", "--force", "--volumes", container]);
    if (folder) rmSync(folder, { recursive: true });
  });

  test("says its version", async () => {
    const response = await fetch(`${endpoint}/api/version`);
    expect(await response.json()).toEqual({ version: "0.32.0" });
  });

  test.each([
    ["chat", false],
    ["chat", true],
    ["messages", false],
    ["messages", true],
  ] as const)("a model that was made from a GGUF answers: %s, streamed: %s", async (protocol, stream) => {
    const question = { model: "canned", text: "ping", maxTokens: 32, stream };
    expect(await ask(endpoint, "unused", protocols[protocol], question)).toEqual({
      text: DEFAULT_ANSWER,
      calls: [],
      stop: protocols[protocol].stops.complete,
    });
  });

  test("a quantisation, which this build cannot do, is refused with the way out", async () => {
    const quantize = ["exec", container, "/usr/lib/ollama/llama-quantize", "in.gguf", "out.gguf", "Q4_K_M"];
    const { code, stderr } = await run("docker", quantize);
    expect([code, stderr]).toEqual([
      1,
      "llama-quantize: this build only copies; give Ollama a model that is Q4_K_M already\n",
    ]);
  });
});
