import { type HostObject, lockHolder, orphanContainers, parseLock } from "../../runner/pulumiState";

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

  test("is held while its process runs here, and not by a stranger with its number", () => {
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

  test("are never what is labelled gpubox.keep, nor what has another stack's name", () => {
    const stranger = { ...one("x"), name: "gpubox-dev2-x" };
    expect(ids([one("cache", { "gpubox.keep": "" }), stranger], [])).toEqual([]);
  });

  test("include a gateway only while the state's own gateway runs", () => {
    const gateway = { "gpubox.role": "gateway" };
    expect(ids([one("old", gateway), one("new", gateway)], ["old"])).toEqual(["new"]);
    expect(ids([one("old", gateway, false), one("new", gateway)], ["old"])).toEqual([]);
    expect(ids([one("new", gateway), one("cache")], [])).toEqual(["cache"]);
  });
});
