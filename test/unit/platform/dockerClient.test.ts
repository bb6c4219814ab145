import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dockerAt } from "../../../platform/docker/client";

/** The least that an engine says of a container; it leaves out what has no value. */
const container = {
  ...{ Id: "a".repeat(64), Name: "/gpubox-dev-edge", Image: "sha256:1" },
  State: { Status: "running" },
  Config: { Image: "haproxy", Labels: null },
  HostConfig: { RestartPolicy: { Name: "no" }, LogConfig: { Type: "local", Config: null } },
  Mounts: [],
  NetworkSettings: {},
};

const HOST = "unix:///nowhere.sock";
const path = process.env.PATH;
let dir: string;

/** A docker whose answers are shell, by `$*` without the engine's address. */
function docker(answers: string): void {
  const script = `#!/bin/sh\n[ "$1 $2" = "-H ${HOST}" ] || exit 9\nshift 2\ncase "$*" in\n${answers}\nesac\n`;
  writeFileSync(join(dir, "docker"), script, { mode: 0o755 });
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-docker-"));
  process.env.PATH = `${dir}:${path}`;
});

afterEach(() => {
  process.env.PATH = path;
  rmSync(dir, { recursive: true });
});

test("containers are listed by label, without one that disappears before it is inspected", async () => {
  docker(`"ps --all --quiet --no-trunc --filter label=a=b --filter label=c") printf 'one\\ntwo\\n' ;;
"inspect --type container one two") echo '${JSON.stringify([container])}'; echo 'No such container: two' >&2; exit 1 ;;
*) exit 8 ;;`);
  const found = await dockerAt(HOST).containers({ all: true, labels: ["a=b", "c"] });
  expect(found.map(({ Name, Config, Mounts }) => [Name, Config.Labels, Mounts])).toEqual([
    ["gpubox-dev-edge", {}, []],
  ]);
});

test("losing the engine between the two calls is an error, not a host without containers", async () => {
  docker(`ps*) echo one ;;
*) echo '[]'; echo "Cannot connect to the Docker daemon" >&2; exit 1 ;;`);
  await expect(dockerAt(HOST).containers()).rejects.toThrow(
    "`docker inspect` failed: Cannot connect to the Docker daemon",
  );
});

test("the list is empty when all containers disappear between the two calls", async () => {
  docker(`ps*) echo one ;;
*) echo '[]'; echo "Error: No such container: one" >&2; exit 1 ;;`);
  expect(await dockerAt(HOST).containers()).toEqual([]);
});

test("a command inside a container gets standard input only if there is some", async () => {
  docker(`"exec box cat") echo none ;;
"exec -i -e A=1 box cat") cat ;;
*) exit 8 ;;`);
  const client = dockerAt(HOST);
  expect((await client.exec("box", ["cat"])).stdout).toBe("none\n");
  expect((await client.exec("box", ["cat"], { stdin: "some", env: { A: "1" } })).stdout).toBe("some");
});

test("a missing CLI and one that takes too long have codes of their own", () => {
  process.env.PATH = dir;
  expect(dockerAt(HOST).runSync(["info"], 5_000).code).toBe(127);
  docker("*) while :; do :; done ;;");
  expect(dockerAt(HOST).runSync(["info"], 200).code).toBe(137);
});

test("a script addresses the client's engine", async () => {
  const said = await dockerAt(HOST).scriptOutput('echo "$DOCKER_HOST $MORE"', { env: { MORE: "x" } });
  expect(said).toBe(`${HOST} x`);
});
