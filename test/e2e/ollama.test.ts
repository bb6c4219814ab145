import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cannedModel } from "../../runner/cannedModel";
import { output } from "../../runner/process";
import { defaultProjectDir } from "../../runner/project";
import { buildRecipes } from "../../runner/recipes";
import { exportsIn, inShell } from "../support/box";
import {
  hasDocker,
  hasPulumi,
  makeProject,
  npmRun,
  removeProject,
  type TestProject,
} from "../support/project";
import { IMAGE_TOKENS, PIXEL, tinyProjector } from "../support/projector";
import { ask, promptTokens, protocols, type Question, type Tool } from "../support/protocols";

const MINUTE = 60_000;
const STACK = "oll";
const ANSWER = "It is sunny in the town that was asked for";
const CITY = { city: "Zürich", days: 3 };

const weather: Tool = {
  name: "get_weather",
  description: "The weather of a town",
  schema: { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } } },
};

/** Ollama's store of models, as its own `create` makes it of GGUFs: the pull of a tag that is there already does nothing. */
async function fillStore(image: string, folder: string, store: string): Promise<void> {
  const write = (name: string, content: Buffer | string) => writeFileSync(join(folder, name), content);
  write("tools.gguf", cannedModel({ answer: ANSWER, tool: weather.name, arguments: CITY }));
  write("embeds.gguf", cannedModel({ embeds: true }));
  write("plain.gguf", cannedModel());
  write("eyes.gguf", tinyProjector());
  write("tools", "FROM /mnt/tools.gguf\n");
  write("vectors", "FROM /mnt/embeds.gguf\n");
  write("eyes", "FROM /mnt/plain.gguf\nFROM /mnt/eyes.gguf\n");
  mkdirSync(store, { recursive: true });
  const create = `ollama serve & until ollama list; do sleep 0.5; done
for name in tools vectors eyes; do ollama create "$name:tiny" -f "/mnt/$name" || exit 1; done`;
  await output("docker", [
    ...["run", "--rm", "--env", "HOME=/tmp", "--env", "OLLAMA_MODELS=/models", "--env", "OLLAMA_NO_CLOUD=1"],
    ...["--volume", `${folder}:/mnt:ro`, "--volume", `${store}:/models`, "--entrypoint", "bash"],
    ...[image, "-c", create],
  ]);
}

(hasDocker && hasPulumi && process.getuid?.() === 0 ? describe : describe.skip)("models of Ollama", () => {
  let folder: string;
  let project: TestProject;
  let key: string;

  beforeAll(async () => {
    const docker = process.env.DOCKER_HOST || "unix:///var/run/docker.sock";
    const images = await buildRecipes(["ollama"], { projectDir: defaultProjectDir, docker, log: () => {} });
    folder = mkdtempSync(join(tmpdir(), `gpubox-${STACK}-models-`));
    chmodSync(folder, 0o755);
    const model = (name: string, more = {}) => ({
      ...{ engine: "ollama", model: `${name}:tiny`, memoryMiB: 1024, readySeconds: 300, ...more },
    });
    project = makeProject(STACK, 4795, {
      gateway: { port: 4795, drainTimeout: 10 },
      cache: { mode: "none" },
      database: { mode: "none" },
      models: {
        tools: model("tools"),
        eyes: model("eyes"),
        vectors: model("vectors", { mode: "embedding" }),
      },
    });
    await fillStore(images.ollama!, folder, join(project.dataDir, "models/ollama"));
    const up = await npmRun(project, "up", "--yes");
    expect(up.code === 0 ? up.stderr : `${up.stdout}\n${up.stderr}`).toBe("");
    for (const how of ["plain", "streamed"])
      expect(up.stdout).toMatch(new RegExp(`^ *ok +tools +/v1/completions +${how}`, "m"));
    const exports = exportsIn(up.stdout);
    key = (
      await inShell(project, exports, `pulumi config get gpubox:masterKey --stack ${STACK}`)
    ).stdout.trim();
  }, 30 * MINUTE);
  afterAll(() => {
    if (project) removeProject(project);
    if (folder) rmSync(folder, { recursive: true });
  });

  describe.each([
    ["/v1/chat/completions", "whole", protocols.chat, false],
    ["/v1/chat/completions", "streamed", protocols.chat, true],
    ["/v1/messages", "whole", protocols.messages, false],
    ["/v1/messages", "streamed", protocols.messages, true],
  ] as const)("%s, %s", (_path, _how, protocol, stream) => {
    const question: Question = { model: "tools", text: "How is the weather?", maxTokens: 200, stream };
    const answer = (more: Partial<Question>) =>
      ask(project.endpoint, key, protocol, { ...question, ...more });

    test("a question is answered", async () => {
      expect(await answer({})).toEqual({ text: ANSWER, calls: [], stop: protocol.stops.complete });
    });

    test("an offered tool is called, and its result is answered", async () => {
      const first = await answer({ tools: [weather] });
      expect(first).toEqual({
        text: "",
        calls: [{ id: expect.stringMatching(/./), name: weather.name, arguments: CITY }],
        stop: protocol.stops.call,
      });
      const called = { call: first.calls[0]!, result: '{"sky":"clear"}' };
      expect(await answer({ tools: [weather], called })).toEqual({
        text: ANSWER,
        calls: [],
        stop: protocol.stops.complete,
      });
    });

    test("a question with an image is answered", async () => {
      const image = { mediaType: "image/png", base64: PIXEL };
      const { text, stop } = await answer({ model: "eyes", image });
      expect([text, stop]).toEqual(["pong from the gpubox test model", protocol.stops.complete]);
    });
  });

  test.each(Object.values(protocols).map((protocol) => [protocol.path, protocol] as const))(
    "%s: an image becomes the tokens of its patches, and one that is none is refused",
    async (_, protocol) => {
      const question: Question = { model: "eyes", text: "What is this?", maxTokens: 16, stream: false };
      const tokens = (more: Partial<Question>) =>
        promptTokens(project.endpoint, key, protocol, { ...question, ...more });
      const image = { mediaType: "image/png", base64: PIXEL };
      // Ollama writes some text of its own beside it.
      expect((await tokens({ image })) - (await tokens({}))).toBeGreaterThanOrEqual(IMAGE_TOKENS);
      await expect(tokens({ image: { ...image, base64: "AAAA" } })).rejects.toThrow(/^(400|500) .*image/s);
    },
  );

  test("an embedding has a number for each dimension of the model, and its length is 1", async () => {
    const response = await fetch(`${project.endpoint}/v1/embeddings`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "vectors", input: ["one", "another"] }),
    });
    expect([response.status, response.ok ? "" : await response.text()]).toEqual([200, ""]);
    const { data } = (await response.json()) as { data: { embedding: number[] }[] };
    expect(data.map(({ embedding }) => embedding.length)).toEqual([32, 32]);
    for (const { embedding } of data) expect(Math.hypot(...embedding)).toBeCloseTo(1, 5);
  });
});
