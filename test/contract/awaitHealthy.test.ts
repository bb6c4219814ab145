import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AWAIT_HEALTHY } from "../../configs/kit/steps";
import { run } from "../../platform/process";

const MEMORY = 256 * 1024 * 1024;

describe("the step that waits for a container's health", () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "gpubox-healthy-"));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  /** Runs the step against an engine that gives these looks at the container one by one, the last one for ever. */
  async function wait(...looks: string[]) {
    writeFileSync(join(dir, "looks"), looks.map((look) => `${look} ${MEMORY}\n`).join(""));
    const engine = `#!/bin/sh
case $1 in logs) echo "its logs" >&2; exit ;; esac
head -n 1 "${dir}/looks"
[ "$(wc -l < "${dir}/looks")" -gt 1 ] && sed -i 1d "${dir}/looks"
exit 0
`;
    writeFileSync(join(dir, "docker"), engine);
    chmodSync(join(dir, "docker"), 0o755);
    const env = {
      PATH: `${dir}:${process.env.PATH}`,
      GPUBOX_CONTAINER: "id",
      GPUBOX_NAME: "backend-tiny",
      GPUBOX_SECONDS: "2",
    };
    const { code, stderr } = await run("sh", ["-c", AWAIT_HEALTHY], { env });
    return { code, says: stderr.split("\n") };
  }

  test("continues when it is healthy, even after a kill for lack of memory", async () => {
    expect(
      await wait("created starting 0 false", "restarting starting 1 true", "running healthy 1 true"),
    ).toEqual({
      code: 0,
      says: [""],
    });
  });

  test("gives up at the third restart with the container's last words", async () => {
    expect(await wait("running starting 2 false", "restarting starting 3 false")).toEqual({
      code: 1,
      says: ["backend-tiny ended (restarting starting 3). Its last words:", "its logs", ""],
    });
  });

  test("gives up at its deadline", async () => {
    expect(await wait("running unhealthy 0 false")).toEqual({
      code: 1,
      says: ["backend-tiny is not healthy after 2 s. Its last words:", "its logs", ""],
    });
  });

  test.each([
    ["tells of it still", "running starting 3 true"],
    ["has forgotten it", "running starting 3 false"],
  ])("says that memory was the reason, when the engine %s", async (_, last) => {
    expect(await wait("restarting starting 2 true", last)).toEqual({
      code: 1,
      says: [
        "backend-tiny was killed for lack of memory (memoryMiB 256): give it more, or let it need less. Its last words:",
        "its logs",
        "",
      ],
    });
  });
});
