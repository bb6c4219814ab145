import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { packageDir } from "../../platform/project";

const script = join(packageDir, "test/support/unfinished.ts");
const ENDED = /^error: The command ended before its work was done/gm;

/** A program of its own: only its end shows how it ends. */
function ended(word: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ["--import", "tsx", script, word]);
  const said = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const)
    child[stream].on("data", (part: Buffer) => {
      said[stream] += part;
    });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, ...said })));
}

test("every verb whose action can never end says so, with exit code 1", async () => {
  const { code, stdout, stderr } = await ended("every-verb");
  expect(Number(stdout)).toBeGreaterThan(40);
  expect(stderr.match(ENDED)).toHaveLength(Number(stdout));
  expect(code).toBe(1);
});

/** What stands at the end of a forward whose box is gone. */
const FORWARDS: Record<string, { does: (socket: Socket) => void; said: RegExp }> = {
  // Node's fetch notices it at the second request only.
  "accepts and closes at once, as SSH's does": {
    does: (socket) => socket.end(),
    said: /no complete answer|other side closed/,
  },
  // On a busy machine its reset comes later than the request's time.
  "accepts and resets": {
    does: (socket) => socket.resetAndDestroy(),
    said: /fetch failed|no complete answer/,
  },
  "accepts and says nothing": { does: () => {}, said: /no complete answer/ },
  "begins an answer and says no more": {
    does: (socket) =>
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")),
    said: /no complete answer/,
  },
};

test.each(Object.entries(FORWARDS))(
  "a request to a forward that %s fails in its time",
  async (_, { does, said }) => {
    const server = createServer((socket) => does(socket.on("error", () => {})));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const { code, stdout, stderr } = await ended(`http://127.0.0.1:${port}`);
    server.close();
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const failed = stdout.split("\n").filter(Boolean);
    expect(failed).toEqual([expect.stringMatching(said), expect.stringMatching(said)]);
  },
);

test("every request keeps the process alive until its time is over: `within` starts it", () => {
  const rooms = ["cli", "components", "operations", "platform", "program", "tools"];
  const files = rooms.flatMap((room) =>
    readdirSync(join(packageDir, room), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => join(room, file)),
  );
  const bare = files.filter((file) => {
    const text = readFileSync(join(packageDir, file), "utf8");
    const timers = file === "platform/within.ts" ? 0 : (text.match(/AbortSignal\.timeout\(/g)?.length ?? 0);
    const requests = text.match(/\bfetch\)?\(/g)?.length ?? 0;
    return timers > 0 || requests > (text.match(/\bwithin\(/g)?.length ?? 0);
  });
  expect(bare).toEqual([]);
});
