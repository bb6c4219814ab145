import { type HostObject, lockHolder, orphanContainers, parseLock } from "../../../platform/pulumi/state";

const lock = {
  pid: 30473,
  username: "root",
  hostname: "vm",
  timestamp: "2026-11-21T06:52:54.763491727Z",
};

describe("a lock of the file backend", () => {
  test("is read as Pulumi writes it, and a cut one is no lock", () => {
    expect(parseLock(JSON.stringify(lock))).toEqual(lock);
    expect(parseLock('{"pid":304')).toBeUndefined();
    expect(parseLock("{}")).toBeUndefined();
  });

  test("is held while its process runs here, and not by another process with its number", () => {
    expect(lockHolder(lock, "vm", "30473 (pulumi) S 1 2 3")).toBe("alive");
    expect(lockHolder(lock, "vm", "30473 (pulumi-language) R 1 2 3")).toBe("alive");
    expect(lockHolder(lock, "vm", undefined)).toBe("gone");
    expect(lockHolder(lock, "vm", "30473 (pulumi) Z 1 2 3")).toBe("gone");
    expect(lockHolder(lock, "vm", "30473 (my (odd) name) S 1 2 3")).toBe("gone");
  });

  test("of another host says nothing", () => {
    expect(lockHolder(lock, "laptop", undefined)).toBe("elsewhere");
  });
});

describe("orphans", () => {
  const one = (id: string, labels: Record<string, string> = {}, running = true): HostObject => ({
    id,
    name: `gpubox-dev-${id}`,
    labels: { "gpubox.stack": "dev", ...labels },
    running,
  });
  const ids = (containers: HostObject[], known: string[]) =>
    orphanContainers(containers, new Set(known), "gpubox-dev").map((container) => container.id);

  test("are what the state does not know", () => {
    expect(ids([one("edge"), one("cache")], ["edge"])).toEqual(["cache"]);
  });

  test("never include what has the label gpubox.keep or another stack's name", () => {
    const stranger = { ...one("x"), name: "gpubox-dev2-x" };
    expect(ids([one("cache", { "gpubox.keep": "" }), stranger], [])).toEqual([]);
  });

  test("include what Compose made of this stack", () => {
    const compose = { ...one("x"), name: "gpubox-dev_cache_1" };
    expect(ids([compose], [])).toEqual(["x"]);
  });

  test("leave out an unknown gateway while the edge has no other", () => {
    const edge = one("edge", { "gpubox.role": "edge" });
    const gateway = (id: string, running = true) => one(id, { "gpubox.role": "gateway" }, running);
    expect(ids([edge, gateway("old"), gateway("new")], ["edge", "old"])).toEqual(["new"]);
    expect(ids([edge, gateway("old", false), gateway("new")], ["edge", "old"])).toEqual([]);
    expect(ids([edge, gateway("new"), one("cache")], ["edge"])).toEqual(["cache"]);
    expect(ids([edge, gateway("new")], [])).toEqual(["edge", "new"]);
  });
});
