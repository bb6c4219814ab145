import { parseStack } from "../../../../configs/parse";
import type { ContainerFacts } from "../../../../operations/doctor/facts";
import { modelStatus, statusTable } from "../../../../operations/models/status";
import { rawStack, testPlan } from "../../../support/stacks";

const values = {
  models: {
    far: { engine: "openai", baseUrl: "http://far:9000/v1" },
    giant: { engine: "llamacpp", model: "file:///srv/models/giant.gguf", start: "manual" },
    tiny: {
      engine: "llamacpp",
      model: "file:///srv/models/tiny.gguf",
      aliases: ["small"],
      instances: [{ weight: 1 }, { weight: 2 }],
    },
  },
};
const config = parseStack(rawStack(values));
const box = testPlan(values);
const container = (role: string, change: Partial<ContainerFacts> = {}): ContainerFacts => ({
  ...{ name: role, role, state: "running", health: "healthy", exitCode: 0, oomKilled: false, restarts: 0 },
  ...{ error: "", networks: [] },
  ...change,
});
const facts = {
  containers: [
    container("backend-giant", { state: "created", health: undefined }),
    container("backend-tiny-1"),
    container("backend-tiny-2", { health: "starting" }),
  ],
  valves: {
    giant: { status: "MAINT (resolution)", running: 0, held: 0 },
    "tiny-1": { status: "UP", running: 1, held: 0 },
    "tiny-2": { status: "DOWN", running: 0, held: 2 },
  },
  lastMinute: { giant: 0, "tiny-1": 7, "tiny-2": 0 },
  listed: ["far", "tiny", "small"],
};

test("each instance of each declared model shows whether it is up, loaded and in use", () => {
  const rows = modelStatus(config, box, facts).map((one) => [
    one.instance,
    one.listed,
    one.up,
    one.loaded,
    one.state,
    one.requestsPerMinute,
    one.requestsNow,
  ]);
  expect(rows).toEqual([
    ["far", true, null, null, "elsewhere", null, null],
    ["giant", false, false, false, "not started", 0, 0],
    ["tiny-1", true, true, true, "loaded", 7, 1],
    ["tiny-2", true, true, false, "loading", 0, 2],
  ]);
});

test("a server that is killed, gone, or healthy but unreachable is marked", () => {
  const state = (change: Partial<ContainerFacts>) =>
    modelStatus(config, box, { ...facts, containers: [container("backend-tiny-2", change)] });
  expect(state({})[3]?.state).toBe("not reached");
  expect(state({ state: "exited", oomKilled: true })[3]?.state).toBe("killed, out of memory");
  expect(state({ state: "exited" })[3]?.state).toBe("exited");
  expect(state({})[2]?.state).toBe("not brought up");
});

test("a server that the kernel killed for its memory says so, also once it runs again", () => {
  const state = (change: Partial<ContainerFacts>) => {
    const containers = [container("backend-tiny-1", change)];
    const { state, memoryKills } = modelStatus(config, box, { ...facts, containers })[2]!;
    return [state, memoryKills];
  };
  const kills = (count: number, limit: "own" | "host") => ({ count, lastAt: "today", limit });
  expect(state({})).toEqual(["loaded", 0]);
  expect(state({ memoryKills: kills(1, "own") })).toEqual(["loaded, killed once at its memory limit", 1]);
  expect(state({ memoryKills: kills(3, "host") })).toEqual([
    "loaded, killed 3 times when the host had no memory left",
    3,
  ]);
  // Docker forgot its mark.
  const down = { state: "exited", exitCode: 137 } as const;
  expect(state({ ...down, memoryKills: kills(2, "own") })).toEqual(["killed, out of memory", 2]);
  expect(state({ ...down, exitCode: 1, memoryKills: kills(2, "own") })).toEqual(["exited", 2]);
});

test("a server that was ended before the host froze says so while it waits for room", () => {
  const healthSays = "the host had 3120 MiB of memory left, and this was its newest load";
  const containers = [container("backend-tiny-2", { health: "unhealthy", healthSays })];
  expect(modelStatus(config, box, { ...facts, containers })[3]?.state).toBe(
    "ended, the host had 3120 MiB of memory left",
  );
});

test("the table has the names for clients, and marks what is not served yet", () => {
  const lines = statusTable(modelStatus(config, box, facts)).split("\n");
  expect(lines[0]).toBe(
    "MODEL          ENGINE    STATE                        REQUESTS/MIN  NOW  ALSO CALLED",
  );
  expect(lines[1]).toBe("far            openai    elsewhere                    –             –");
  expect(lines[2]).toBe("giant          llamacpp  not started, not served yet  0             0");
  expect(lines[3]).toBe("tiny (tiny-1)  llamacpp  loaded                       7             1    small");
});
