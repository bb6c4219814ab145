import { writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { join } from "node:path";
import { pullThroughApi } from "../../platform/docker/pull";
import type { PullState } from "../../platform/docker/pullEvents";
import { scratch } from "../support/allocate";

const dir = scratch("pull");
const reference = `registry.example/some/image@sha256:${"0".repeat(64)}`;
const configured = process.env.DOCKER_CONFIG;
let engine: Server;

beforeEach(() => {
  process.env.DOCKER_CONFIG = dir;
  writeFileSync(join(dir, "config.json"), "{}");
});
afterEach(() => engine.close());
afterAll(() => {
  if (configured === undefined) delete process.env.DOCKER_CONFIG;
  else process.env.DOCKER_CONFIG = configured;
});

let count = 0;
/** Docker's own CLI reaches an engine that answers like this. */
async function pull(answer: RequestListener): Promise<{ pulled: boolean; states: PullState[] }> {
  const socket = join(dir, `engine-${count++}.sock`);
  // The CLI asks first whether the engine is there.
  engine = createServer((request, response) =>
    request.url === "/_ping" ? void response.end("OK") : answer(request, response),
  );
  await new Promise<void>((resolve) => engine.listen(socket, resolve));
  const states: PullState[] = [];
  const pulled = await pullThroughApi(`unix://${socket}`, reference, (state) => states.push(state));
  return { pulled, states };
}

test("a pull goes through the CLI's connection and says how many bytes have come", async () => {
  const asked: unknown[] = [];
  const { pulled, states } = await pull((request, answer) => {
    asked.push([request.method, request.url]);
    const loading = { id: "a", status: "Downloading", progressDetail: { current: 3, total: 7 } };
    answer.write(`${JSON.stringify(loading)}\r\n`);
    answer.end(`${JSON.stringify({ id: "a", status: "Pull complete" })}\r\n`);
  });
  const digest = `sha256%3A${"0".repeat(64)}`;
  const path = `/images/create?fromImage=registry.example%2Fsome%2Fimage&tag=${digest}`;
  expect(asked).toEqual([["POST", path]]);
  expect(pulled).toBe(true);
  expect(states).toEqual([
    { done: 3, total: 7, layers: 1, ready: 0 },
    { done: 7, total: 7, layers: 1, ready: 1 },
  ]);
});

test.each<[string, RequestListener]>([
  ["refuses", (_, answer) => void answer.writeHead(404).end('{"message":"no such image"}')],
  ["fails on the way", (_, answer) => void answer.end('{"error":"no space left on device"}\n')],
  ["goes away", (_, answer) => void answer.write('{"id":"a","status":"Waiting"}\n', () => answer.destroy())],
])("where the engine %s, docker pull has the word", async (_, answer) => {
  expect((await pull(answer)).pulled).toBe(false);
});

test("a registry with a login is left to docker pull", async () => {
  writeFileSync(join(dir, "config.json"), JSON.stringify({ auths: { "registry.example": {} } }));
  const answered = jest.fn();
  expect((await pull(answered)).pulled).toBe(false);
  expect(answered).not.toHaveBeenCalled();
});
