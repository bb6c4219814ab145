import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../platform/process";
import { isHealthy } from "../load/blows";
import { nothing, READY_SECONDS, VllmBox } from "../load/vllmBox";
import { allocate } from "../support/allocate";
import { needs } from "../support/needs";
import { pause, until } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("vllmfaults");

/** Takes most of the container's memory, and ends. */
const HOG = 'held = b"x" * (1800 << 20)';

needs(
  "docker",
  "pulumi",
  "root",
)("the real vLLM under clients, when it breaks", () => {
  let box: VllmBox;

  beforeAll(async () => {
    box = new VllmBox(STACK, PORT);
    await box.open({ first: { replacement: "start-first" }, second: {} });
  }, 40 * MINUTE);
  afterAll(() => box?.close(), MINUTE);

  /** Seconds until a blow is healed without a hand, and what the clients of the model and of its neighbour lost after it. */
  async function struck(blow: (excuse: () => void) => Promise<unknown>) {
    let healed = 0;
    // A process and not the container's start: its guard starts an engine that hangs again in the same container.
    const before = await processOf("vllm serve");
    const lost = await box.meanwhile(["first", "second"], async (loads) => {
      await pause(3000, "clients are at work");
      const start = performance.now();
      await blow(() => loads.second!.excuseInFlight());
      const back = async () => {
        const now = await processOf("vllm serve");
        return now !== undefined && now !== before && (await isHealthy(box.container("second")));
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
    const { stdout } = await run("docker", ["top", box.container("second"), "-eo", "pid,args"]);
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

  /** The kernel takes the core first, and not the one that wants the memory. */
  const outOfMemory = async (excuse: () => void) => {
    writeFileSync(`/proc/${await processOf("VLLM::EngineCore")}/oom_score_adj`, "1000");
    excuse();
    // It may be taken too.
    await run("docker", ["exec", box.container("second"), "python3", "-c", HOG]);
  };

  /** What happens to the server, and how many requests may meet vLLM's own word of it: it learns of a dead core when it is asked. */
  test.each<[string, number, (excuse: () => void) => Promise<unknown>]>([
    ["its server is killed", 0, (excuse) => inside("vllm serve", "SIGKILL", excuse)],
    ["its core dies", 2, (excuse) => inside("VLLM::EngineCore", "SIGKILL", excuse)],
    ["the kernel ends a part of it for its memory", 2, outOfMemory],
    [
      "its server is killed, and killed again while it loads",
      0,
      async (excuse) => {
        await inside("vllm serve", "SIGKILL", excuse);
        await until("it loads again", () => processOf("VLLM::EngineCore"));
        await inside("vllm serve", "SIGKILL");
      },
    ],
  ])(
    "%s: it comes back by itself, later requests wait for it, and its neighbour's clients notice nothing",
    async (_what, most, blow) => {
      const { first, second } = await struck(blow);
      expect(first).toEqual(nothing);
      expect(second!.failed).toBeLessThanOrEqual(most);
      const others = second!.reasons.filter((reason) => !/: 500 .*Hosted_vllmException/.test(reason));
      expect({ ...second, failed: 0, reasons: others }).toEqual(nothing);
    },
    20 * MINUTE,
  );

  test(
    "weights that are cut off: `up` fails with vLLM's words, and the one before serves on",
    async () => {
      const source = box.weights("broken", box.words("first"));
      truncateSync(join(box.folder, "broken/model.safetensors"), 100_000);
      box.edit((models) => {
        models.first!.model = source;
      });
      const lost = await box.meanwhile(["first"], async () => {
        const { code, stdout, stderr } = await box.up();
        expect([code, stdout + stderr]).toEqual([1, expect.stringMatching(/safetensors|SafetensorError/i)]);
      });
      expect(lost).toEqual({ first: nothing });
      expect(readFileSync(join(box.folder, "first/model.safetensors")).length).toBeGreaterThan(100_000);
    },
    20 * MINUTE,
  );
});
