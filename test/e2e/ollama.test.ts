import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildRecipes } from "../../operations/images/buildRecipes";
import { output } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { cannedModel } from "../../tools/cannedModel";
import { allocate, scratch } from "../support/allocate";
import { exportsIn, masterKeyOf } from "../support/box";
import {
  ANSWER,
  asker,
  CITY,
  testEyesAndVectors,
  testResponses,
  testTools,
  ways,
  weather,
} from "../support/engineClaims";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { IMAGE_TOKENS, PIXEL, tinyProjector } from "../support/projector";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("oll");

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

needs(
  "docker",
  "pulumi",
  "root",
)("models of Ollama", () => {
  let folder: string;
  let project: TestProject;
  let key: string;

  beforeAll(async () => {
    const docker = process.env.DOCKER_HOST || "unix:///var/run/docker.sock";
    const images = await buildRecipes(["ollama"], { projectDir: packageDir, docker, log: () => {} });
    folder = scratch(`${STACK}-models`);
    chmodSync(folder, 0o755);
    const model = (name: string, more = {}) => ({
      ...{ engine: "ollama", model: `${name}:tiny`, memoryMiB: 1024, readySeconds: 300, ...more },
    });
    project = makeProject(STACK, PORT, {
      gateway: { port: PORT, drainTimeout: 10 },
      cache: { mode: "none" },
      database: { mode: "none" },
      models: {
        tools: model("tools"),
        eyes: model("eyes"),
        vectors: model("vectors", { mode: "embedding" }),
      },
    });
    await fillStore(images.ollama!, folder, join(project.dataDir, "models/ollama"));
    const up = await gpubox(project, "up", "--yes");
    expect(up.code === 0 ? up.stderr : `${up.stdout}\n${up.stderr}`).toBe("");
    for (const how of ["plain", "streamed"])
      expect(up.stdout).toMatch(new RegExp(`^ *ok +tools +/v1/completions +${how}`, "m"));
    const exports = exportsIn(up.stdout);
    key = await masterKeyOf(project, exports);
  }, 30 * MINUTE);
  afterAll(() => {
    if (project) removeProject(project);
    if (folder) rmSync(folder, { recursive: true });
  });

  const reached = () => ({ endpoint: project.endpoint, key });

  testResponses(reached);

  describe.each(ways)("%s, %s", (_path, _how, protocol, stream) => {
    testTools(reached, protocol, stream);

    test("a question with an image is answered", async () => {
      const image = { mediaType: "image/png", base64: PIXEL };
      const { text, stop } = await asker(reached, protocol, stream)({ model: "eyes", image });
      expect([text, stop]).toEqual(["pong from the gpubox test model", protocol.stops.complete]);
    });
  });

  // Ollama writes some text of its own beside the image.
  testEyesAndVectors(reached, (tokens) => expect(tokens).toBeGreaterThanOrEqual(IMAGE_TOKENS));
});
