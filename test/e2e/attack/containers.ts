import { output } from "../../../platform/process";
import { recipeReference } from "../../../platform/stack/recipes";
import { each } from "./answers";
import { type AttackBox, STACK } from "./lab";

interface Inspected {
  Name: string;
  Config: { User: string; Labels: Record<string, string> };
  Mounts: { Source: string; Destination: string }[];
  HostConfig: {
    ReadonlyRootfs: boolean;
    Privileged: boolean;
    CapAdd: string[] | null;
    CapDrop: string[] | null;
    Memory: number;
    MemorySwap: number;
    PidsLimit: number | null;
    PidMode: string;
    IpcMode: string;
    NetworkMode: string;
    SecurityOpt: string[] | null;
    LogConfig: { Type: string; Config: Record<string, string> };
  };
  NetworkSettings: { Networks: Record<string, { IPAddress: string }> };
}

/** What somebody would find who got into a container. */
export function containerAttacks(box: () => AttackBox): void {
  const own = async (): Promise<Inspected[]> => {
    const ids = await output("docker", ["ps", "-q", "--filter", `label=gpubox.stack=${STACK}`]);
    const all = JSON.parse(await output("docker", ["inspect", ...ids.split("\n")])) as Inspected[];
    return all.filter(({ Config }) => Config.Labels["gpubox.keep"] !== "test");
  };

  test("every container runs without rights, without a writable root, and within limits", async () => {
    const containers = await own();
    expect(containers.map(({ Config }) => Config.Labels["gpubox.role"]).sort()).toEqual(
      expect.arrayContaining([
        "backend-tiny",
        "cache",
        "database",
        "edge",
        "gateway",
        "job-eval",
        "valve-bent",
        "valve-tiny",
      ]),
    );
    for (const { Name, Config, HostConfig, Mounts } of containers) {
      expect({ Name, ...HostConfig, user: Config.User }).toMatchObject({
        ...{ Name, ReadonlyRootfs: true, Privileged: false, CapDrop: ["ALL"], PidMode: "" },
        SecurityOpt: expect.arrayContaining([expect.stringMatching(/^no-new-privileges/)]),
        LogConfig: { Config: { "max-size": "20m", "max-file": "5" } },
        // The job's gateway runs as whoever started it.
        user: expect.stringMatching(Name.includes("-job-") ? /^\d+:\d+$/ : /^[1-9]\d*:\d+$/),
      });
      expect([Name, HostConfig.CapAdd ?? [], HostConfig.NetworkMode === "host"]).toEqual([Name, [], false]);
      expect([Name, HostConfig.Memory > 0, HostConfig.MemorySwap]).toEqual([Name, true, HostConfig.Memory]);
      expect([Name, (HostConfig.PidsLimit ?? 0) > 0]).toEqual([Name, true]);
      expect([Name, HostConfig.SecurityOpt?.join(" ").includes("unconfined")]).toEqual([Name, false]);
      expect(
        Mounts.filter(({ Source, Destination }) => /docker\.sock|^\/$/.test(`${Source} ${Destination}`)),
      ).toEqual([]);
    }
  });

  test("the kernel agrees: no capability, no new privileges, system calls filtered, no file of the root written", async () => {
    await each(
      await own(),
      async ({ Name }) => {
        const name = Name.slice(1);
        const write =
          "for dir in / /etc /usr /var /etc/gpubox; do touch $dir/attack 2>/dev/null && echo $dir; done; ls /var/run/docker.sock /run/docker.sock 2>/dev/null";
        const script = `cat /proc/1/status; echo WRITTEN; ${write}; true`;
        const said = await output("docker", ["exec", name, "sh", "-c", script]);
        const [status = "", written] = said.split("WRITTEN");
        const field = (which: string) => new RegExp(`^${which}:\\s*(\\w+)$`, "m").exec(status)?.[1];
        expect([name, field("CapBnd"), field("CapEff"), field("NoNewPrivs"), field("Seccomp")]).toEqual([
          ...[name, "0000000000000000", "0000000000000000", "1", "2"],
        ]);
        expect([name, written]).toEqual([name, ""]);
      },
      3,
    );
  });

  test("a compromised backend reaches neither gateway, nor edge, nor stores, nor another network", async () => {
    const containers = await own();
    const targets = containers
      .filter(({ Config }) =>
        /^(gateway|edge|cache|database|job-eval)$/.test(Config.Labels["gpubox.role"] ?? ""),
      )
      .flatMap(({ Name, NetworkSettings }) =>
        Object.values(NetworkSettings.Networks)
          .filter(({ IPAddress }) => IPAddress)
          .flatMap(({ IPAddress }) => [4000, 4001, 6379, 5432].map((port) => [Name, IPAddress, port])),
      );
    expect(targets.length).toBeGreaterThan(8);
    const probe = `
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def reach(target):
    name, address, port = target
    try:
        socket.create_connection((address, port), 2).close()
        return f"{name} {port}"
    except OSError:
        return None
def names(name):
    try:
        return f"{name} {socket.gethostbyname(name)}"
    except OSError:
        return None
with ThreadPoolExecutor(32) as pool:
    found = [*pool.map(reach, json.load(sys.stdin)), *pool.map(names, ["gateway", "edge", "cache", "database", "canary.test"])]
print(json.dumps([one for one in found if one]))`;
    const image = recipeReference(box().project.dir, "gateway");
    const said = await output(
      "docker",
      [
        ...["run", "--rm", "--interactive", "--network", `gpubox-${STACK}-backends`, "--user", "65534:65534"],
        ...["--entrypoint", "python3", image, "-c", probe],
      ],
      { stdin: JSON.stringify(targets) },
    );
    expect(JSON.parse(said)).toEqual([]);
  });
}
