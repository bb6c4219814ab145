import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { inPlace } from "../../../../operations/jobs/queue";
import { pause, until } from "../../../support/wait";

const cores = availableParallelism();

describe("starts of jobs", () => {
  let folder: string;
  let holders: ChildProcess[] = [];
  const kill = () => {
    // A child of its own group each, so that what holds the lock goes too.
    for (const { pid } of holders) process.kill(-pid!, "SIGKILL");
    holders = [];
  };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "gpubox-places-"));
  });
  afterEach(() => {
    kill();
    rmSync(folder, { recursive: true });
  });

  test("use as many places as there are cores, and all get their turn", async () => {
    let now = 0;
    let most = 0;
    let waited = 0;
    const work = async () => {
      most = Math.max(most, ++now);
      await until("every place is taken", () => most >= cores, { everyMs: 10 });
      await pause(200, "one more could come in");
      now--;
    };
    const count = cores + 2;
    await Promise.all(Array.from({ length: count }, () => inPlace(work, () => waited++, folder)));
    expect(most).toBe(cores);
    expect(waited).toBeGreaterThanOrEqual(2);
  });

  test("give their place back when they fail", async () => {
    for (let turn = 0; turn < cores + 1; turn++)
      await expect(
        inPlace(
          () => Promise.reject(new Error("no")),
          () => {},
          folder,
        ),
      ).rejects.toThrow("no");
  });

  test("get the place of a killed one", async () => {
    holders = Array.from({ length: cores }, (_, place) =>
      spawn("flock", [join(folder, `place-${place}`), "sh", "-c", "echo held; exec sleep 600"], {
        stdio: ["ignore", "pipe", "ignore"],
        detached: true,
      }),
    );
    await Promise.all(holders.map((one) => new Promise((resolve) => one.stdout!.once("data", resolve))));
    let worked = Promise.resolve("");
    await new Promise<void>((waits) => {
      worked = inPlace(async () => "mine", waits, folder);
    });
    kill();
    expect(await worked).toBe("mine");
  });
});
