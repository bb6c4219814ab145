import { awaited, downloadState } from "../../../../operations/up/hostWork";

test("containers that are not healthy yet are waited for, models first and by their name", () => {
  const listing = [
    "gpubox-dev-edge\tedge\tUp 12 seconds (health: starting)",
    "gpubox-dev-cache\tcache\tUp 2 minutes (healthy)",
    "gpubox-dev-backend-tiny\tbackend-tiny\tUp About a minute (health: starting)",
    "gpubox-dev-backend-new\tbackend-new\tUp 9 seconds (health: starting)",
    "gpubox-dev-database\tdatabase\tUp Less than a second (health: starting)",
    "gpubox-dev-backend-big\tbackend-big\tRestarting (1) 3 seconds ago",
    "gpubox-dev-backend-giant\tbackend-giant\tCreated",
    "gpubox-dev-valve-tiny\tvalve-tiny\tUp 9 seconds (unhealthy)",
  ];
  const models = new Map(["tiny", "big", "giant"].map((name) => [`backend-${name}`, name]));
  expect(awaited(listing, models)).toEqual([
    { container: "gpubox-dev-backend-tiny", name: "the model tiny" },
    { container: "gpubox-dev-backend-big", name: "the model big" },
    { container: "gpubox-dev-edge", name: "edge" },
    { container: "gpubox-dev-valve-tiny", name: "valve-tiny" },
  ]);
});

describe("a download of a model's files", () => {
  const begin = "owner/name@0123456789ab: 2 files, 4.0 GB, 1.0 GB of it here already\n";

  test("has no number before it knows its files", () => {
    const waits = "owner/name: another download of it is at work; waiting\n";
    expect(downloadState(waits)).toEqual({
      detail: "owner/name: another download of it is at work; waiting",
    });
    expect(downloadState("")).toEqual({ detail: "" });
  });

  test("begins with what is there already", () => {
    expect(downloadState(begin)).toEqual({ done: 1e9, total: 4e9, unit: "bytes" });
  });

  test("is as far as its last line says", () => {
    const lines =
      "a.gguf 1.1 GB of 3.0 GB · all 27 % · 20.0 MB/s · ETA 2m25s\n" +
      "a.gguf 2.0 GB of 3.0 GB · all 50 % · 25.5 MB/s · ETA 1m18s\n" +
      "a.gguf: cut at 2.0 GB (timed out); going on\n";
    const known = { done: 2e9, total: 4e9, unit: "bytes", rate: 25.5e6, detail: "a.gguf" };
    expect(downloadState(begin + lines)).toEqual(known);
  });
});
