import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageDir } from "../../platform/project";
import { orSkip } from "../support/needs";

const tools = ["ip", "iptables", "ip6tables"].every(
  (tool) => spawnSync("sh", ["-c", `command -v ${tool}`]).status === 0,
);
const why =
  process.getuid?.() !== 0 ? "only root makes namespaces" : tools ? undefined : "no ip, iptables here";

const SCRIPT = join(packageDir, "assets/host/firewall.sh");

/** Names of a box's bridges: as boxes make them, and of a network that was made before they had names. */
const [OWN, SECOND, OLD] = ["br-gpuboxaaaaaa", "br-gpuboxbbbbbb", "br-0123456789ab"];

const METADATA = "169.254.169.254";
const UPSTREAM = 11434;
const PRIVATE = 8081;

/** A server that answers with its own address, and notes who came. */
const CANARY = `
const { createServer } = require("node:net");
const [, file, ...ports] = process.argv;
const opened = ports.map((port) => new Promise((resolve) =>
  createServer((socket) => {
    require("node:fs").appendFileSync(file, socket.localAddress + " " + port + "\\n");
    socket.on("error", () => {}).end("hello");
  }).listen(Number(port), "::", resolve)));
Promise.all(opened).then(() => console.log("ready"));
`;

orSkip(describe, why)("the firewall rules of a host, in namespaces of their own", () => {
  const id = process.pid;
  const ns = (name: string) => `gbx${id}-${name}`;
  const spaces: string[] = [];
  const servers: ChildProcess[] = [];
  let folder: string;
  let hits: string;

  const must = (program: string, ...args: string[]) => {
    const done = spawnSync(program, args, { encoding: "utf8" });
    if (done.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${done.stderr}`);
    return done.stdout;
  };
  const within = (space: string, ...words: string[]) => must("ip", "netns", "exec", ns(space), ...words);
  const add = (space: string) => {
    must("ip", "netns", "add", ns(space));
    spaces.push(ns(space));
    within(space, "ip", "link", "set", "lo", "up");
  };
  /** A namespace behind an interface of the host: a container behind its bridge, or a server behind the host. */
  const attach = (space: string, link: string, net: string, bridge?: string) => {
    add(space);
    within("host", "ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", ns(space));
    within("host", "ip", "link", "set", link, "up");
    if (bridge) {
      within("host", "ip", "link", "add", bridge, "type", "bridge");
      within("host", "ip", "link", "set", link, "master", bridge);
      within("host", "ip", "link", "set", bridge, "up");
    }
    within("host", "ip", "address", "add", `${net}.1/24`, "dev", bridge ?? link);
    within(space, "ip", "address", "add", `${net}.2/24`, "dev", "eth0");
    within(space, "ip", "link", "set", "eth0", "up");
    within(space, "ip", "route", "add", "default", "via", `${net}.1`);
  };
  const serve = async (space: string, ...ports: number[]) => {
    const words = ["netns", "exec", ns(space), process.execPath, "-e", CANARY, hits, ...ports.map(String)];
    const server = spawn("ip", words, { stdio: ["ignore", "pipe", "ignore"] });
    servers.push(server);
    await new Promise((resolve) => server.stdout!.once("data", resolve));
  };
  /** Whether a connection from there is answered. A refusal ends it at once, and nothing here takes longer. */
  const reaches = (space: string, address: string, port: number) =>
    spawnSync(
      "ip",
      ["netns", "exec", ns(space), "timeout", "20", "bash", "-c", `cat < /dev/tcp/${address}/${port}`],
      {
        encoding: "utf8",
      },
    ).stdout === "hello";
  const rules = (stack: string, ...lines: string[]) =>
    writeFileSync(join(folder, stack), `${lines.join("\n")}\n`);
  const script = (...words: string[]) =>
    must("ip", "netns", "exec", ns("host"), "env", `GPUBOX_FIREWALL=${folder}`, "sh", SCRIPT, ...words);
  const table = () => within("host", "iptables", "-w", "-S") + within("host", "ip6tables", "-w", "-S");

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "gpubox-firewall-"));
    hits = join(mkdtempSync(join(tmpdir(), "gpubox-hits-")), "hits");
    add("host");
    within("host", "sysctl", "-qw", "net.ipv4.ip_forward=1");
    // As Docker has it.
    for (const rule of ["-N DOCKER-USER", "-A DOCKER-USER -j RETURN", "-I FORWARD -j DOCKER-USER"])
      within("host", "iptables", "-w", ...rule.split(" "));
    attach("box", "c0", "10.91.0", OWN);
    attach("second", "c1", "10.91.1", SECOND);
    attach("old", "c2", "10.91.2", OLD);
    attach("guest", "c3", "10.91.3", "br-ffffffffffff");
    attach("meta", "meta", "10.91.4");
    within("meta", "ip", "address", "add", `${METADATA}/32`, "dev", "lo");
    within("host", "ip", "route", "add", METADATA, "via", "10.91.4.2");
    within("box", "ip", "-6", "address", "add", "fd91::2/64", "dev", "eth0", "nodad");
    within("host", "ip", "-6", "address", "add", "fd91::1/64", "dev", OWN, "nodad");
    await serve("host", PRIVATE, UPSTREAM);
    await serve("meta", 80, 53, PRIVATE);
    await serve("box", PRIVATE);
  }, 60_000);

  afterAll(() => {
    for (const server of servers) server.kill("SIGKILL");
    for (const space of spaces) spawnSync("ip", ["netns", "delete", space]);
    rmSync(folder, { recursive: true });
    rmSync(join(hits, ".."), { recursive: true });
  });

  const all = ["box", "second", "old"] as const;

  test("without them every container reaches the host's ports and the metadata address", () => {
    for (const space of all)
      expect([reaches(space, "10.91.0.1", PRIVATE), reaches(space, METADATA, 80)]).toEqual([true, true]);
    expect(reaches("box", "fd91::1", PRIVATE)).toBe(true);
  });

  describe("with them", () => {
    beforeAll(() => {
      rules("one", `bridge ${OWN}`, `bridge ${OLD}`, `open * ${UPSTREAM}`, "open 10.91.4.2 80");
      script();
      writeFileSync(hits, "");
    });

    test.each(all)("the container %s reaches none of the host's addresses, nor metadata", (space) => {
      for (const address of ["10.91.0.1", "10.91.1.1", "10.91.2.1", "10.91.4.1"])
        expect([address, reaches(space, address, PRIVATE)]).toEqual([address, false]);
      for (const port of [80, PRIVATE]) expect(reaches(space, METADATA, port)).toBe(false);
      expect(readFileSync(hits, "utf8")).toBe("");
    });

    test("nor by IPv6", () => {
      expect(reaches("box", "fd91::1", PRIVATE)).toBe(false);
      expect(reaches("box", "fd91::1", UPSTREAM)).toBe(true);
    });

    test("a port that its stack names is open to a box, and not to another", () => {
      expect(all.map((space) => reaches(space, "10.91.0.1", UPSTREAM))).toEqual([true, false, true]);
    });

    test("networks behind the host, answers to the host, and foreign containers are unaffected", () => {
      expect(reaches("box", "10.91.4.2", PRIVATE)).toBe(true);
      expect(reaches("host", "10.91.0.2", PRIVATE)).toBe(true);
      expect([reaches("guest", "10.91.3.1", PRIVATE), reaches("guest", METADATA, 80)]).toEqual([true, true]);
      expect(reaches("host", METADATA, 80)).toBe(true);
    });

    test("setting them again changes nothing", () => {
      const before = table();
      script();
      expect(table()).toBe(before);
    });

    test("they follow the file when a network goes and another comes", () => {
      rules("one", `bridge ${OWN}`, "bridge br-ffffffffffff");
      script();
      expect(reaches("old", "10.91.0.1", PRIVATE)).toBe(true);
      expect(reaches("guest", "10.91.3.1", PRIVATE)).toBe(false);
      rules("one", `bridge ${OWN}`, `bridge ${OLD}`);
      script();
      expect([reaches("old", "10.91.0.1", PRIVATE), reaches("guest", "10.91.3.1", PRIVATE)]).toEqual([
        false,
        true,
      ]);
    });

    test("metadata is open to the stack whose models use the machine's role, and to no other", () => {
      rules("two", `bridge ${SECOND}`, "metadata");
      script();
      expect(all.map((space) => reaches(space, METADATA, 80))).toEqual([false, true, false]);
    });
  });

  test("removing them leaves nothing", () => {
    script("remove");
    expect(table()).not.toMatch(/gpubox|GPUBOX/);
    expect([reaches("box", "10.91.0.1", PRIVATE), reaches("box", METADATA, 80)]).toEqual([true, true]);
  });
});
