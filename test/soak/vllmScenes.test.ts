import { z } from "zod";
import { output, run } from "../../platform/process";
import { nothing, VllmBox } from "../load/vllmBox";
import { allocate } from "../support/allocate";
import { needs } from "../support/needs";
import { gpubox } from "../support/project";
import { until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("vllmscenes");

/** Tokens of a block of the KV cache, which vLLM shares between requests as a whole. */
const BLOCK = 128;

/** Each step of this vLLM takes a fifth of a second longer. */
const SLOWER = `RUN cd /app/.venv/lib/python3.13/site-packages/vllm/v1/engine \\
 && sed -i 's/^    def step(self).*:$/&\\n        __import__("time").sleep(0.2)/' core.py && grep -q 'sleep(0.2)' core.py
`;

const usageSchema = z.object({
  usage: z.object({
    prompt_tokens: z.number(),
    prompt_tokens_details: z.object({ cached_tokens: z.number().nullable() }).nullish(),
  }),
});

needs(
  "docker",
  "pulumi",
  "root",
)("the real vLLM under clients, while it changes", () => {
  let box: VllmBox;

  beforeAll(async () => {
    box = new VllmBox(STACK, PORT);
    const onDemand = { start: "ondemand", group: "pair" };
    const models = {
      first: { replacement: "start-first" },
      second: { replacement: "stop-first" },
      twins: { instances: [{}, {}] },
      a: onDemand,
      b: onDemand,
    };
    await box.open(models, { groups: { pair: { memoryGiB: 4 } } });
    await box.makeImage("v2", "LABEL gpubox.bumped=yes");
    await box.makeImage("slow", SLOWER);
  }, 40 * MINUTE);
  afterAll(() => box?.close(), MINUTE);

  test(
    "conversations over two instances: each finds its prompt in the cache of the one that had it",
    async () => {
      const conversations = Array.from("bcdefghi", (letter) => [
        { role: "user", content: letter.repeat(700) },
      ]);
      const usage = async (messages: object[]) => {
        const answer = await fetch(`${box.project.endpoint}/v1/chat/completions`, {
          method: "POST",
          headers: { authorization: `Bearer ${box.key}`, "content-type": "application/json" },
          body: JSON.stringify({ model: "twins", max_tokens: 32, messages }),
        });
        expect(answer.status).toBe(200);
        const { usage } = usageSchema.parse(await answer.json());
        return { prompt: usage.prompt_tokens, cached: usage.prompt_tokens_details?.cached_tokens ?? 0 };
      };
      const first = await Promise.all(conversations.map(usage));
      expect(first.map(({ cached }) => cached)).toEqual(conversations.map(() => 0));
      const more = [
        { role: "assistant", content: box.words("twins") },
        { role: "user", content: "And then?" },
      ];
      const second = await Promise.all(conversations.map((messages) => usage([...messages, ...more])));
      // All that was asked before, in whole blocks.
      expect(second.map(({ cached }) => cached)).toEqual(
        first.map(({ prompt }) => Math.floor(prompt / BLOCK) * BLOCK),
      );
      const asked = await Promise.all(
        ["twins-1", "twins-2"].map(async (one) => {
          const { stdout, stderr } = await run("docker", ["logs", box.container(one)]);
          return (stdout + stderr).split('"POST /v1/chat/completions').length > 2;
        }),
      );
      expect(asked).toEqual([true, true]);
    },
    10 * MINUTE,
  );

  test(
    "another image where both fit: nobody notices",
    async () => {
      const before = await output("docker", ["inspect", "--format", "{{.Image}}", box.container("first")]);
      box.edit((models) => {
        models.first!.image = { repository: box.repository, tag: "v2" };
      });
      expect(await box.meanwhile(["first", "second"], () => box.succeeds())).toEqual({
        first: nothing,
        second: nothing,
      });
      expect(await output("docker", ["inspect", "--format", "{{.Image}}", box.container("first")])).not.toBe(
        before,
      );
    },
    20 * MINUTE,
  );

  test(
    "a flag that it does not know: the one before serves on, and nobody notices",
    async () => {
      box.edit((models) => {
        models.first!.extraArgs = ["--no-such-flag"];
      });
      const lost = await box.meanwhile(["first"], async () => {
        const { code, stdout, stderr } = await box.up();
        expect([code, stdout + stderr]).toEqual([1, expect.stringContaining("no-such-flag")]);
      });
      expect(lost).toEqual({ first: nothing });
      box.edit((models) => {
        delete models.first!.extraArgs;
      });
      await box.succeeds();
    },
    20 * MINUTE,
  );

  test(
    "a slower image, as a canary: it is refused, the one before serves on, and no request fails",
    async () => {
      let before: unknown;
      box.edit((models) => {
        before = models.first!.image;
        models.first!.image = { repository: box.repository, tag: "slow" };
        models.first!.canary = { weight: 50, for: "10m", requests: 10 };
      });
      const lost = await box.meanwhile(["first"], async () => {
        const { code, stdout, stderr } = await box.up();
        expect([code, stdout + stderr]).toEqual([
          1,
          expect.stringContaining("The canary of first is refused: it answers later"),
        ]);
      });
      expect(lost).toEqual({ first: nothing });
      box.edit((models) => {
        models.first!.image = before;
        delete models.first!.canary;
      });
      await box.succeeds();
    },
    20 * MINUTE,
  );

  test(
    "an edit where both do not fit: its clients wait, and no request fails",
    async () => {
      box.edit((models) => {
        models.second!.maxModelLen = 4160;
      });
      expect(await box.meanwhile(["first", "second"], () => box.succeeds())).toEqual({
        first: nothing,
        second: nothing,
      });
    },
    20 * MINUTE,
  );

  test(
    "stopped and started by hand: its clients wait, and no request fails",
    async () => {
      const lost = await box.meanwhile(["second"], async () => {
        for (const verb of ["stop", "start"])
          expect((await gpubox(box.project, "model", verb, "second")).code).toBe(0);
      });
      expect(lost).toEqual({ second: nothing });
    },
    20 * MINUTE,
  );

  test(
    "two that share memory, asked in turn by eight clients: each loads more than once, and no request fails",
    async () => {
      const loads = async (model: string) => {
        const { stdout } = await run("docker", ["logs", box.container(model)]);
        return stdout.split("gpubox: starts the engine").length - 1;
      };
      const before = [await loads("a"), await loads("b")];
      const both = async () => (await loads("a")) >= before[0]! + 2 && (await loads("b")) >= before[1]! + 2;
      const lost = await box.meanwhile(
        ["a", "b"],
        () => until("each was loaded twice", both, { seconds: 1200, everyMs: 1000 }),
        4,
      );
      expect(lost).toEqual({ a: nothing, b: nothing });
    },
    30 * MINUTE,
  );
});
