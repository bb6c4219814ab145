import { chmodSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { output, run } from "../../platform/process";
import { recipeReference } from "../../platform/stack/recipes";
import { cannedSafetensors } from "../../tools/cannedSafetensors";
import { isHealthy } from "../load/blows";
import { Load, type Tally } from "../load/client";
import { allocate, scratch } from "../support/allocate";
import { editStack, exportsIn, inShell } from "../support/box";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { writeRepository } from "../support/repository";
import { pause, until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("vllmscenes");
/** A registry that never answers: the image is taken as it is here. */
const REPOSITORY = `localhost:1/${STACK}/vllm`;
/** A load of it on a busy machine. */
const READY_SECONDS = 540;

/** Tokens of a block of the KV cache, which vLLM shares between requests as a whole. */
const BLOCK = 128;

const usageSchema = z.object({
  usage: z.object({
    prompt_tokens: z.number(),
    prompt_tokens_details: z.object({ cached_tokens: z.number().nullable() }).nullish(),
  }),
});

type Models = Record<string, Record<string, unknown>>;

/** What clients of a model lost. */
type Lost = Pick<Tally, "requests" | "failed" | "cut" | "wrong" | "reasons">;

needs(
  "docker",
  "pulumi",
  "root",
)("the real vLLM under clients", () => {
  let project: TestProject;
  let folder: string;
  let key: string;

  const container = (model: string) => `gpubox-${STACK}-backend-${model}`;
  const words = (model: string) => `this is ${model}`;
  const edit = (change: (models: Models) => void) =>
    editStack(project, (config) => change((config as unknown as Record<string, Models>)["gpubox:models"]!));
  const up = () => gpubox(project, "up", "--yes");
  const succeeds = async () => {
    const { code, stdout, stderr } = await up();
    expect(code === 0 ? "" : stdout + stderr).toBe("");
    return stdout;
  };

  /** Writes a model to the host that says who it is; its source for the stack's config. */
  const weights = (name: string, says = words(name)) =>
    writeRepository(join(folder, name), cannedSafetensors({ answer: says }));

  const entry = (name: string) => ({
    // The CPU's kernels for 16 bits need AMX with eager mode.
    ...{ engine: "vllm", dtype: "float32", enforceEager: true, memoryMiB: 3072, maxModelLen: 8192 },
    ...{ kvCacheMemoryBytes: 64 * 2 ** 20, readySeconds: READY_SECONDS, holdSeconds: READY_SECONDS },
    model: weights(name),
  });

  /** What the clients of some models lose while something happens. `happens` may excuse what is in flight at its blow. */
  async function meanwhile(
    models: string[],
    happens: (loads: Record<string, Load>) => Promise<unknown>,
    shorts = 2,
  ): Promise<Record<string, Lost>> {
    const loads: Record<string, Load> = {};
    for (const model of models) {
      const habits = { shorts, streams: 0, expected: words(model), silenceMs: READY_SECONDS * 1000 };
      // On two cores the clients' own answers would keep a server from loading.
      const options = { endpoint: project.endpoint, key, model, pauseMs: 1000, ...habits };
      loads[model] = await new Load(options).start();
    }
    const lost: Record<string, Lost> = {};
    try {
      await happens(loads);
    } finally {
      for (const [model, load] of Object.entries(loads)) {
        const { requests, failed, cut, wrong, reasons, excused, longestWait } = await load.stop();
        console.info(JSON.stringify({ model, requests, failed, cut, wrong, excused, longestWait, reasons }));
        lost[model] = { requests, failed, cut, wrong, reasons };
      }
    }
    return lost;
  }

  const nothing = { requests: expect.any(Number), failed: 0, cut: 0, wrong: 0, reasons: [] };

  beforeAll(async () => {
    folder = scratch(`${STACK}-models`);
    chmodSync(folder, 0o755);
    const onDemand = { start: "ondemand", group: "pair" };
    project = makeProject(STACK, PORT, {
      groups: { pair: { memoryGiB: 4 } },
      models: {
        first: { ...entry("first"), replacement: "start-first" },
        second: { ...entry("second"), replacement: "stop-first" },
        twins: { ...entry("twins"), instances: [{}, {}] },
        a: { ...entry("a"), ...onDemand },
        b: { ...entry("b"), ...onDemand },
      },
    });
    const stdout = await succeeds();
    const get = `pulumi config get gpubox:masterKey --stack ${STACK}`;
    key = (await inShell(project, exportsIn(stdout), get)).stdout.trim();
    const recipe = `FROM ${recipeReference(project.dir, "vllm-cpu")}\nLABEL gpubox.bumped=yes\n`;
    await output("docker", ["build", "--tag", `${REPOSITORY}:v2`, "-"], { stdin: recipe });
  }, 40 * MINUTE);
  afterAll(async () => {
    if (project) removeProject(project);
    if (folder) rmSync(folder, { recursive: true });
    await run("docker", ["image", "rm", `${REPOSITORY}:v2`]);
  }, MINUTE);

  test(
    "conversations over two instances: each finds its prompt in the cache of the one that had it",
    async () => {
      const conversations = Array.from("bcdefghi", (letter) => [
        { role: "user", content: letter.repeat(700) },
      ]);
      const usage = async (messages: object[]) => {
        const answer = await fetch(`${project.endpoint}/v1/chat/completions`, {
          method: "POST",
          headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
          body: JSON.stringify({ model: "twins", max_tokens: 32, messages }),
        });
        expect(answer.status).toBe(200);
        const { usage } = usageSchema.parse(await answer.json());
        return { prompt: usage.prompt_tokens, cached: usage.prompt_tokens_details?.cached_tokens ?? 0 };
      };
      const first = await Promise.all(conversations.map(usage));
      expect(first.map(({ cached }) => cached)).toEqual(conversations.map(() => 0));
      const more = [
        { role: "assistant", content: words("twins") },
        { role: "user", content: "And then?" },
      ];
      const second = await Promise.all(conversations.map((messages) => usage([...messages, ...more])));
      // All that was asked before, in whole blocks.
      expect(second.map(({ cached }) => cached)).toEqual(
        first.map(({ prompt }) => Math.floor(prompt / BLOCK) * BLOCK),
      );
      const asked = await Promise.all(
        ["twins-1", "twins-2"].map(async (one) => {
          const { stdout, stderr } = await run("docker", ["logs", container(one)]);
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
      const before = await output("docker", ["inspect", "--format", "{{.Image}}", container("first")]);
      edit((models) => {
        models.first!.image = { repository: REPOSITORY, tag: "v2" };
      });
      expect(await meanwhile(["first", "second"], succeeds)).toEqual({ first: nothing, second: nothing });
      expect(await output("docker", ["inspect", "--format", "{{.Image}}", container("first")])).not.toBe(
        before,
      );
    },
    20 * MINUTE,
  );

  test(
    "a flag that it does not know: the one before serves on, and nobody notices",
    async () => {
      edit((models) => {
        models.first!.extraArgs = ["--no-such-flag"];
      });
      const lost = await meanwhile(["first"], async () => {
        const { code, stdout, stderr } = await up();
        expect([code, stdout + stderr]).toEqual([1, expect.stringContaining("no-such-flag")]);
      });
      expect(lost).toEqual({ first: nothing });
      edit((models) => {
        delete models.first!.extraArgs;
      });
      await succeeds();
    },
    20 * MINUTE,
  );

  test(
    "an edit where both do not fit: its clients wait, and no request fails",
    async () => {
      edit((models) => {
        models.second!.maxModelLen = 4160;
      });
      expect(await meanwhile(["first", "second"], succeeds)).toEqual({ first: nothing, second: nothing });
    },
    20 * MINUTE,
  );

  test(
    "stopped and started by hand: its clients wait, and no request fails",
    async () => {
      const lost = await meanwhile(["second"], async () => {
        for (const verb of ["stop", "start"])
          expect((await gpubox(project, "model", verb, "second")).code).toBe(0);
      });
      expect(lost).toEqual({ second: nothing });
    },
    20 * MINUTE,
  );

  test(
    "two that share memory, asked in turn by eight clients: each loads more than once, and no request fails",
    async () => {
      const loads = async (model: string) => {
        const { stdout } = await run("docker", ["logs", container(model)]);
        return stdout.split("gpubox: starts the engine").length - 1;
      };
      const before = [await loads("a"), await loads("b")];
      const both = async () => (await loads("a")) >= before[0]! + 2 && (await loads("b")) >= before[1]! + 2;
      const lost = await meanwhile(
        ["a", "b"],
        () => until("each was loaded twice", both, { seconds: 1200, everyMs: 1000 }),
        4,
      );
      expect(lost).toEqual({ a: nothing, b: nothing });
    },
    30 * MINUTE,
  );

  /** Seconds until a blow is healed without a hand, and what the clients of the model and of its neighbour lost after it. */
  async function struck(blow: (excuse: () => void) => Promise<unknown>) {
    let healed = 0;
    // A process and not the container's start: its guard starts an engine that hangs again in the same container.
    const before = await processOf("vllm serve");
    const lost = await meanwhile(["first", "second"], async (loads) => {
      await pause(3000, "clients are at work");
      const start = performance.now();
      await blow(() => loads.second!.excuseInFlight());
      const back = async () => {
        const now = await processOf("vllm serve");
        return now !== undefined && now !== before && (await isHealthy(container("second")));
      };
      await until("it is loaded again", back, { seconds: READY_SECONDS, everyMs: 500 });
      healed = Math.round((performance.now() - start) / 1000);
      await pause(5000, "requests after the return count as well");
    });
    console.info(JSON.stringify({ healed }));
    return lost;
  }

  /** As the host numbers it; undefined where there is none. */
  const processOf = async (pattern: string) => {
    const { stdout } = await run("docker", ["top", container("second"), "-eo", "pid,args"]);
    const line = stdout.split("\n").find((one) => one.includes(pattern));
    return line === undefined ? undefined : Number(line.trim().split(/\s+/)[0]);
  };
  /** `excuse` comes right before the signal: looking for the process takes a while, in which requests arrive. */
  const inside = async (pattern: string, signal: string, excuse = () => {}) => {
    const pid = await processOf(pattern);
    if (pid === undefined) throw new Error(`no process ${pattern}`);
    excuse();
    process.kill(pid, signal);
  };

  test.each<[string, (excuse: () => void) => Promise<unknown>]>([
    ["its server is killed", (excuse) => inside("vllm serve", "SIGKILL", excuse)],
    ["its core dies", (excuse) => inside("VLLM::EngineCore", "SIGKILL", excuse)],
    [
      "its server is killed, and killed again while it loads",
      async (excuse) => {
        await inside("vllm serve", "SIGKILL", excuse);
        await until("it loads again", () => processOf("VLLM::EngineCore"));
        await inside("vllm serve", "SIGKILL");
      },
    ],
  ])(
    "%s: it comes back by itself, later requests wait for it, and its neighbour's clients notice nothing",
    async (_what, blow) => {
      const { first, second } = await struck(blow);
      expect(first).toEqual(nothing);
      expect(second).toEqual(nothing);
    },
    20 * MINUTE,
  );

  test(
    "weights that are cut off: `up` fails with vLLM's words, and the one before serves on",
    async () => {
      const source = weights("broken", words("first"));
      truncateSync(join(folder, "broken/model.safetensors"), 100_000);
      edit((models) => {
        models.first!.model = source;
      });
      const lost = await meanwhile(["first"], async () => {
        const { code, stdout, stderr } = await up();
        expect([code, stdout + stderr]).toEqual([1, expect.stringMatching(/safetensors|SafetensorError/i)]);
      });
      expect(lost).toEqual({ first: nothing });
      expect(readFileSync(join(folder, "first/model.safetensors")).length).toBeGreaterThan(100_000);
    },
    20 * MINUTE,
  );
});
