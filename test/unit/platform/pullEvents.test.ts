import { PullMeter, type PullState, parsePullEvent } from "../../../platform/docker/pullEvents";

/** How far a pull is after these lines of the engine's. */
function after(...lines: object[]): PullState | undefined {
  const meter = new PullMeter();
  let state: PullState | undefined;
  for (const line of lines) state = meter.take(parsePullEvent(JSON.stringify(line))!);
  return state;
}

const loading = (id: string, current: number, total: number) => ({
  id,
  status: "Downloading",
  progressDetail: { current, total },
  progress: "[==>   ]",
});
const says = (id: string, status: string) => ({ id, status, progressDetail: {} });
const begin = { status: "Pulling from library/redis", id: "sha256:0123" };

test("the total is unknown until every layer has begun", () => {
  const first = [begin, says("a", "Pulling fs layer"), says("b", "Waiting"), loading("a", 10, 100)];
  expect(after(...first)).toEqual({ done: 10, layers: 2, ready: 0 });
  expect(after(...first, loading("b", 5, 50))).toEqual({ done: 15, total: 150, layers: 2, ready: 0 });
});

test("layers that are there, that were too small to be seen, and that are unpacked", () => {
  const unpacking = { id: "b", status: "Extracting", progressDetail: { current: 7, total: 50 } };
  expect(
    after(
      ...[begin, says("a", "Already exists"), says("b", "Pulling fs layer"), says("c", "Pulling fs layer")],
      ...[loading("b", 20, 50), says("c", "Download complete"), says("b", "Verifying Checksum"), unpacking],
      ...[says("c", "Pull complete"), { status: "Digest: sha256:0123" }],
    ),
  ).toEqual({ done: 50, total: 50, layers: 3, ready: 2 });
});

test("a pull of what is there has nothing to do", () => {
  expect(after(begin, { status: "Status: Image is up to date for redis" })).toEqual({
    done: 0,
    layers: 0,
    ready: 0,
  });
});

test("what is no event is none", () => {
  expect(parsePullEvent("<html>")).toBeUndefined();
  expect(parsePullEvent('{"progressDetail":{"current":-1}}')).toBeUndefined();
  expect(parsePullEvent('{"error":"no space left on device"}')).toEqual({ error: "no space left on device" });
});
