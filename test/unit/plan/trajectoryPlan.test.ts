import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { writeDirectory } from "../../../configs/kit/hostFiles";
import { ConfigError } from "../../../configs/kit/problems";
import { renderText } from "../../../configs/kit/text";
import { GUARD_ASSETS } from "../../../configs/plan/guard";
import { TRAJECTORY_ASSETS } from "../../../configs/plan/trajectories";
import { packageDir } from "../../../platform/project";
import { testPlan, testSecrets, tinyModel } from "../../support/stacks";

const gatewayWith = (gateway: Record<string, unknown>) => testPlan({ models: tinyModel, gateway }).gateway;
type Gateway = ReturnType<typeof gatewayWith>;

function file(gateway: Gateway, name: string): string {
  return renderText(gateway.directory.files[name]!.text, testSecrets);
}

function callbacks(gateway: Gateway): unknown {
  return parse(file(gateway, "config.yaml")).litellm_settings.callbacks;
}

test("without trajectories a gateway is unaffected", () => {
  const off = gatewayWith({ trajectories: false });
  expect(off).toEqual(gatewayWith({}));
  const guard = [...Object.keys(GUARD_ASSETS), "guard.json"];
  expect(Object.keys(off.directory.files).sort()).toEqual(
    [
      "access.py",
      "config.yaml",
      "database.sh",
      "entrypoint.sh",
      "gateway.env",
      "generation.json",
      "heal.sh",
      "health.sh",
      "migrate.py",
      "migrate.sh",
      "people.py",
      "records.py",
    ]
      .concat(guard, "prove.py")
      .sort(),
  );
  expect(callbacks(off)).toEqual(["gpubox_guard.instance"]);
  expect([off.container.mounts.length, off.writable]).toEqual([1, []]);
});

test("with trajectories a gateway has the callback next to its config and a directory that outlives it", () => {
  const gateway = gatewayWith({ trajectories: true });
  expect(callbacks(gateway)).toEqual(["gpubox_guard.instance", "gpubox_trajectory.instance"]);
  expect(JSON.parse(file(gateway, "trajectory.json"))).toEqual({
    file: "/var/log/gpubox/{generation}-{host}/litellm-trajectory.jsonl",
    onLogFailure: "continue",
    compress: "none",
    rotateBytes: 256 * 1024 * 1024,
  });
  const source = "/srv/gpubox/trajectories";
  expect(gateway.container.mounts[1]).toEqual({
    kind: "directory",
    source,
    target: "/var/log/gpubox",
    readOnly: false,
  });
  expect(gateway.writable).toEqual([{ path: source, uid: 65534, gid: 65534 }]);
  expect(gateway.generation).not.toBe(gatewayWith({}).generation);
  expect(gatewayWith({ trajectories: {} })).toEqual(gateway);
});

test("every part of the writer goes to the host", () => {
  const parts = readdirSync(join(packageDir, "assets", "trajectory")).filter((name) => name.endsWith(".py"));
  expect(Object.keys(TRAJECTORY_ASSETS).sort()).toEqual(parts.sort());
  const { files } = gatewayWith({ trajectories: true }).directory;
  expect(Object.keys(files)).toEqual(expect.arrayContaining(parts));
  expect(writeDirectory("image", "/srv/gpubox", gatewayWith({}).directory)).not.toContain("trajectory");
});

test("the stack's own callbacks stay, in any notation", () => {
  const settings = (own: unknown) => ({ trajectories: true, settings: { litellm: { callbacks: own } } });
  expect(callbacks(gatewayWith(settings("prometheus")))).toEqual([
    "prometheus",
    "gpubox_guard.instance",
    "gpubox_trajectory.instance",
  ]);
  expect(callbacks(gatewayWith(settings(["otel", "datadog_metrics"])))).toEqual([
    "otel",
    "datadog_metrics",
    "gpubox_guard.instance",
    "gpubox_trajectory.instance",
  ]);
});

test("settings reach the writer, and a group of the host may read what is written", () => {
  const trajectories = { onLogFailure: "refuse", rotateMiB: 10, compress: "zstd", group: 1000 };
  const gateway = gatewayWith({ trajectories });
  expect(JSON.parse(file(gateway, "trajectory.json"))).toMatchObject({
    onLogFailure: "refuse",
    compress: "zstd",
    rotateBytes: 10 * 1024 * 1024,
  });
  expect(gateway.writable).toEqual([
    { path: "/srv/gpubox/trajectories", uid: 65534, gid: 1000, sharesGroup: true },
  ]);
});

test.each([
  [{ onLogFailure: "ignore" }, "gpubox:gateway.trajectories"],
  [{ rotateMib: 10 }, "gpubox:gateway.trajectories"],
  ["yes", "gpubox:gateway.trajectories"],
])("%j is refused with its path", (trajectories, path) => {
  try {
    gatewayWith({ trajectories });
    throw new Error("it was taken");
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    expect(error.problems.map((problem) => problem.path)).toEqual([expect.stringContaining(path)]);
  }
});
