import { join } from "node:path";
import { bridgeName } from "../../configs/plan/bridges";
import { buildRecipes } from "../../operations/images/buildRecipes";
import { run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { allocate } from "../support/allocate";
import { editStack } from "../support/box";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { SECOND_HOST, SecondHost } from "../support/secondHost";

const MINUTE = 60_000;
const { stack: STACK, port: PORT, net: NET } = allocate("fw");
const METADATA = "169.254.169.254";

needs("docker", ...SECOND_HOST)("a host with Docker that is prepared", () => {
  let host: SecondHost;
  let laptop: TestProject;
  let image: string;

  const prepare = async (...words: string[]) => {
    const done = await gpubox(laptop, "host", "prepare", "--yes", "--json", ...words);
    expect({ code: done.code, said: done.code === 0 ? "" : done.stderr }).toEqual({ code: 0, said: "" });
    return JSON.parse(done.stdout).steps.map(({ id }: { id: string }) => id);
  };
  /** What a container on that network gets of an address. */
  const ask = (network: string, address: string, port: number) =>
    host.console(
      `docker run --rm --network ${network} --add-host host.docker.internal:host-gateway --user 65534:65534 --cap-drop ALL --entrypoint timeout ${image} 5 bash -c 'cat < /dev/tcp/${address}/${port}' 2>/dev/null || echo nothing`,
    );
  /** Answers `canary` on every address of the host, or of a namespace behind it. */
  const serve = (port: number, within = "") =>
    host.console(
      `${within} setsid perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(LocalPort => ${port}, Listen => 9, ReuseAddr => 1) or die; while (my $c = $s->accept) { print $c "canary\\n"; close $c }' >/dev/null 2>&1 </dev/null & sleep 1`,
    );
  const gateway = (network: string) =>
    host.console(`docker network inspect --format '{{(index .IPAM.Config 0).Gateway}}' ${network}`);
  const network = (name: string, ...options: string[]) =>
    host.console(`docker network create --label gpubox.stack=${STACK} ${options.join(" ")} ${name}`);

  beforeAll(async () => {
    const docker = "unix:///var/run/docker.sock";
    image = (await buildRecipes(["edge"], { projectDir: packageDir, docker, log: () => {} })).edge!;
    host = new SecondHost(STACK, NET);
    await host.start();
    laptop = makeProject(
      STACK,
      PORT,
      {
        host: { dataDir: `/srv/gpubox-${STACK}`, ...host.host() },
        gateway: { port: PORT },
        models: {
          tiny: { engine: "openai", baseUrl: "http://host.docker.internal:11434/v1", apiKey: "none" },
        },
      },
      { gateway: "stub" },
    );
    expect(await prepare()).toEqual(["packages", "daemon", "group", "directory", "firewall"]);
    await host.copyImages([image]);
    // A server that owns the address, behind the host and nowhere else.
    host.console(`ip netns add meta && ip link add m0 type veth peer name eth0 netns meta && ip link set m0 up
ip address add 10.92.0.1/24 dev m0 && ip -n meta address add 10.92.0.2/24 dev eth0 && ip -n meta link set eth0 up
ip -n meta link set lo up && ip -n meta address add ${METADATA}/32 dev lo && ip -n meta route add default via 10.92.0.1
ip route add ${METADATA} via 10.92.0.2`);
    serve(80, "ip netns exec meta");
    for (const port of [8081, 11434]) serve(port);
    for (const role of ["edge", "backends"])
      network(
        `gpubox-${STACK}-${role}`,
        `--opt com.docker.network.bridge.name=${bridgeName(`gpubox-${STACK}-${role}`)}`,
        role === "backends" ? "--internal" : "",
      );
    host.console("docker network create others");
  }, 10 * MINUTE);

  afterAll(async () => {
    if (laptop) {
      const config = join(laptop.dir, `.gpubox/ssh/${STACK}/config`);
      await run("ssh", ["-F", config, "-O", "exit", host.address], { cwd: laptop.dir });
      removeProject(laptop);
    }
    await host?.remove();
  }, 2 * MINUTE);

  const closed = () => {
    for (const role of ["edge", "backends"])
      expect([role, ask(`gpubox-${STACK}-${role}`, gateway(`gpubox-${STACK}-${role}`), 8081)]).toEqual([
        role,
        "nothing",
      ]);
    expect(ask(`gpubox-${STACK}-edge`, METADATA, 80)).toBe("nothing");
    expect(ask(`gpubox-${STACK}-edge`, "host.docker.internal", 8081)).toBe("nothing");
  };

  test("keeps networks that came after it from its ports and from metadata, and lets the declared one pass", () => {
    closed();
    expect(ask(`gpubox-${STACK}-edge`, "host.docker.internal", 11434)).toBe("canary");
  });

  test("leaves foreign containers alone", () => {
    expect([ask("others", gateway("others"), 8081), ask("others", METADATA, 80)]).toEqual([
      "canary",
      "canary",
    ]);
  });

  test(
    "needs nothing the second time, and the rules survive a restart of Docker",
    async () => {
      expect(await prepare()).toEqual([]);
      host.console("kill $(cat /var/run/docker.pid); while [ -e /var/run/docker.pid ]; do sleep 0.2; done");
      expect(await prepare()).toEqual(["start"]);
      closed();
    },
    3 * MINUTE,
  );

  test(
    "includes a network without one of our names, and a port added to the stack's file",
    async () => {
      network(`gpubox-${STACK}-models`, "--internal");
      expect(ask(`gpubox-${STACK}-models`, gateway(`gpubox-${STACK}-models`), 8081)).toBe("canary");
      editStack(laptop, (config) =>
        Object.assign(config["gpubox:host"]!, { openToContainers: [8082] } as never),
      );
      expect(await prepare()).toEqual(["firewall"]);
      expect(ask(`gpubox-${STACK}-models`, gateway(`gpubox-${STACK}-models`), 8081)).toBe("nothing");
      serve(8082);
      expect(ask(`gpubox-${STACK}-edge`, "host.docker.internal", 8082)).toBe("canary");
      expect(await prepare()).toEqual([]);
    },
    3 * MINUTE,
  );

  test(
    "shows what it removes, and then leaves the host as it was",
    async () => {
      expect(await prepare("--remove")).toEqual(["firewall"]);
      expect(ask(`gpubox-${STACK}-edge`, METADATA, 80)).toBe("canary");
      const left = host.console(
        "iptables -S; ip6tables -S 2>/dev/null; ls -d /etc/gpubox 2>/dev/null || true",
      );
      expect(left).not.toMatch(/GPUBOX|comment gpubox|etc.gpubox/);
      expect(await prepare("--remove")).toEqual([]);
    },
    3 * MINUTE,
  );
});
