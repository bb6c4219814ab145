import fc from "fast-check";
import { ConfigError } from "../../../configs/kit/problems";
import { parseStack } from "../../../configs/parse";
import { hostSchema } from "../../../configs/schema/host";
import { runs } from "../../support/runs";
import { mistakesOf, rawStack, tinyModel } from "../../support/stacks";

const accepts = (host: Record<string, unknown>) => hostSchema.safeParse(host).success;

test.each([
  ...[
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/dev/shm",
    "/etc",
    "/etc/gpubox",
    "/lib",
    "/lib64/x",
    "/proc",
    "/proc/1/root/srv/x",
  ],
  ...[
    "/root",
    "/run",
    "/run/gpubox",
    "/sbin",
    "/sys/fs",
    "/usr",
    "/usr/local/gpubox",
    "/var",
    "/var/log/gpubox",
  ],
  ...[
    "/var/run/x",
    "/home",
    "/home/ada",
    "/srv",
    "/opt",
    "/mnt",
    "/media",
    "/tmp",
    "/var/lib",
    "/var/lib/docker",
  ],
  ...[
    "/var/lib/docker/volumes/x",
    "/var/lib/containerd",
    "/var/lib/postgresql/16",
    "/home/ada/.ssh",
    "/root/.ssh/x",
  ],
  ...[
    "/srv/gpubox/",
    "//etc",
    "/srv//x",
    "/srv/../etc",
    "/srv/gpubox/..",
    "/srv/./x",
    "/srv/x/../../etc",
    "srv/x",
    "",
  ],
])("a directory that something else needs is refused: %j", (dataDir) => {
  expect(accepts({ dataDir })).toBe(false);
});

test.each([
  ...[
    "/srv/gpubox",
    "/opt/gpubox",
    "/var/lib/gpubox",
    "/var/opt/x",
    "/home/ada/gpubox",
    "/root/gpubox",
    "/mnt/nvme0",
  ],
  ...["/mnt/disk/box", "/tmp/box-1", "/data", "/tank/gpubox", "/etcetera", "/usr2/x", "/srv/..box"],
])("a directory for the box alone is accepted: %j", (dataDir) => {
  expect(accepts({ dataDir })).toBe(true);
});

test("a path that leads out of its place or into the system is refused, however it is written", () => {
  const system = fc.constantFrom("etc", "usr", "bin", "dev", "proc", "sys", "boot", "run", "sbin", "lib");
  const part = fc.constantFrom("..", ".", "", "srv", "x", "etc");
  fc.assert(
    fc.property(system, fc.array(part), (tree, parts) => {
      expect(accepts({ dataDir: `/${[tree, ...parts].join("/")}` })).toBe(false);
      expect(accepts({ dataDir: `/srv/x/${[...parts, "..", tree].join("/")}` })).toBe(false);
    }),
  );
});

test("no address of an engine, and no directory, is more than one word to a shell", () => {
  const special = fc.constantFrom(..." \t\n;&|<>()$`\\\"'*?[]{}!#~%^=,\u0000\u00a0");
  const word = fc.string({ unit: fc.constantFrom(..."abz09/._-"), minLength: 1, maxLength: 8 });
  const base = fc.constantFrom(
    "unix:///",
    "unix:///var/run/",
    "ssh://",
    "ssh://ops@gpu1/",
    "ssh://ops@gpu1:22/run/",
    "tcp://",
    "/srv/",
  );
  fc.assert(
    fc.property(base, word, special, word, (start, a, character, b) => {
      const text = `${start}${a}${character}${b}`;
      expect(accepts({ docker: text })).toBe(false);
      expect(accepts({ dataDir: text })).toBe(false);
    }),
    runs(150),
  );
});

test.each([
  ...[
    "tcp://127.0.0.1:2375",
    "http://x",
    "unix://",
    "unix:///",
    "unix://relative/docker.sock",
    "unix:///x y;id",
  ],
  ...[
    "npipe:////./pipe/docker",
    "fd://",
    "ssh://ops@gpu1/run/x;id",
    "ssh://ops@gpu1/run/$(id)",
    "docker.sock",
    "",
  ],
])("only a socket of this machine or SSH is accepted: %j", (docker) => {
  expect(accepts({ docker })).toBe(false);
});

test.each([
  ...[
    "unix:///var/run/docker.sock",
    "unix:///run/user/1000/docker.sock",
    "unix:///home/ada/.docker/run/docker.sock",
  ],
  ...["ssh://ops@gpu1", "ssh://[fd00::1]:22/run/user/1000/docker.sock"],
])("%s is one", (docker) => {
  expect(accepts({ docker })).toBe(true);
});

test("the preview says where and what to do", () => {
  const said = (host: Record<string, unknown>) => {
    try {
      parseStack(rawStack({ models: tinyModel, host }));
      return [];
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return error.problems.map(({ path, what, fix }) => `${path}: ${what} ${fix}`);
    }
  };
  expect(said({ dataDir: "/etc", docker: "unix:///x y;id" }).sort()).toEqual([
    'gpubox:host.dataDir: "/etc" is not valid. It belongs to the system. Write a directory of the box\'s own, for example /srv/gpubox.',
    'gpubox:host.docker: "unix:///x y;id" is not valid. Write unix:///var/run/docker.sock or ssh://user@host.',
  ]);
});

test.each([
  ["ssh://ops@gpu1/run/user/1000/docker.sock", "an engine without root"],
  ["unix:///var/run/user/1000/docker.sock", "an engine without root"],
  ["ssh://ops@gpu1/run/podman/podman.sock", "Podman"],
  ["unix:///run/user/1000/podman/podman.sock", "Podman"],
])("the socket of an engine that carries no box is refused before anybody asks it: %s", (docker, whose) => {
  const [first, ...others] = mistakesOf(rawStack({ models: tinyModel, host: { docker } }));
  expect(first).toMatch(
    new RegExp(`^gpubox:host\\.docker.* is the socket of ${whose}, which cannot carry a box`),
  );
  expect(others).toEqual([]);
});
