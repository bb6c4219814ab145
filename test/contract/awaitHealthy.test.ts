import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { awaitHealthy, DRAIN } from "../../configs/kit/steps";
import { run } from "../../platform/process";

const MEMORY = 256 * 1024 * 1024;

describe("the step that waits for a container's health", () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "gpubox-healthy-"));
    logged("its logs");
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  /** What the container has logged. */
  const logged = (...lines: string[]) =>
    writeFileSync(join(dir, "logs"), lines.map((line) => `${line}\n`).join(""));

  /** Runs the step against an engine that gives these looks at the container one by one, the last one for ever. */
  async function wait(...looks: string[]) {
    return waitFor(awaitHealthy(["CMD", "false"]), 1, looks);
  }

  /** The same for a step that asks the container itself, which answers with `code` and keeps what it was asked. */
  async function waitFor(step: string, answer: number, looks: string[]) {
    writeFileSync(join(dir, "looks"), looks.map((look) => `${look} ${MEMORY}\n`).join(""));
    const engine = `#!/bin/sh
case $1 in
  logs) cat "${dir}/logs" >&2; exit ;;
  exec) shift; printf '%s\\n' "$@" > "${dir}/asked"; echo noise; exit ${answer} ;;
esac
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
    const { code, stderr } = await run("sh", ["-c", step], { env });
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

  test("asks the container itself, before Docker looks at it for the first time", async () => {
    const step = awaitHealthy(["CMD", "bash", "-c", "it's ready"]);
    expect(await waitFor(step, 0, ["running starting 0 false"])).toEqual({ code: 0, says: [""] });
    const asked = readFileSync(join(dir, "asked"), "utf8").split("\n");
    expect(asked).toEqual(["id", "timeout", "2", "bash", "-c", "it's ready", ""]);
  });

  test("asks through a shell where Docker does", async () => {
    expect((await waitFor(awaitHealthy(["CMD-SHELL", "a | b"]), 0, ["running starting 0 false"])).code).toBe(
      0,
    );
    expect(readFileSync(join(dir, "asked"), "utf8")).toBe("id\ntimeout\n2\nsh\n-c\na | b\n");
  });

  test("waits on when the container says that it is not ready", async () => {
    expect(
      await waitFor(awaitHealthy(["CMD", "test"]), 1, [
        "running starting 0 false",
        "running healthy 0 false",
      ]),
    ).toEqual({ code: 0, says: [""] });
    expect(await waitFor(awaitHealthy(["CMD", "test"]), 1, ["running starting 0 false"])).toEqual({
      code: 1,
      says: ["backend-tiny is not healthy after 2 s. Its last words:", "its logs", ""],
    });
  });

  test("asks no container that has restarted: Docker's own looks decide then", async () => {
    expect(
      await waitFor(awaitHealthy(["CMD", "test"]), 0, [
        "running starting 1 false",
        "running starting 3 false",
      ]),
    ).toEqual({
      code: 1,
      says: ["backend-tiny ended (running starting 3). Its last words:", "its logs", ""],
    });
    expect(existsSync(join(dir, "asked"))).toBe(false);
  });

  test("gives up at the third restart with the container's last words", async () => {
    expect(await wait("running starting 2 false", "restarting starting 3 false")).toEqual({
      code: 1,
      says: ["backend-tiny ended (restarting starting 3). Its last words:", "its logs", ""],
    });
  });

  test("shows errors from before the last words, each once, because a server of several processes ends with less", async () => {
    const trace = Array.from({ length: 15 }, (_, line) => `  trace ${line}`);
    logged(
      "(Engine pid=7) ERROR 12-01 weights.SafetensorError: incomplete metadata",
      "(Engine pid=9) ERROR 12-01 weights.SafetensorError: incomplete metadata",
      "no error: this is a warning",
      ...trace,
    );
    const { says } = await wait("running starting 3 false");
    // The stand-in shows all of a log, however much is asked for.
    expect(says.slice(-3)).toEqual([
      "Errors that it told before:",
      "weights.SafetensorError: incomplete metadata",
      "",
    ]);
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

describe("the step that waits for the drain", () => {
  test("tells the gateways that serve no more, and none that serves", async () => {
    const dir = mkdtempSync(join(tmpdir(), "gpubox-drain-"));
    const engine = `#!/bin/sh
case "$*" in
  "exec edge bash /etc/gpubox/switch.sh --status") printf 's1 gateway-new serving 4\\ns2 gateway-old draining 0\\n' ;;
  inspect*) echo box ;;
  "ps --filter label=gpubox.stack=box "*) printf 'gateway-old\\ngateway-new\\ngateway-new-2\\ngateway-older\\n' ;;
  *) echo "$*" >> "${dir}/done" ;;
esac
`;
    writeFileSync(join(dir, "docker"), engine, { mode: 0o755 });
    const env = {
      PATH: `${dir}:${process.env.PATH}`,
      GPUBOX_EDGE: "edge",
      GPUBOX_GATEWAYS: "gateway-new gateway-new-2",
      GPUBOX_SECONDS: "5",
    };
    expect((await run("sh", ["-c", DRAIN], { env })).code).toBe(0);
    expect(readFileSync(join(dir, "done"), "utf8")).toBe(
      "exec gateway-old touch /tmp/drained\nexec gateway-older touch /tmp/drained\n",
    );
    rmSync(dir, { recursive: true });
  });
});
