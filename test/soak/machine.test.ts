import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { insideDatabase } from "../../platform/box/database";
import { run } from "../../platform/process";
import { allocate } from "../support/allocate";
import { MACHINE, Machine, takeNextDocker } from "../support/machine";
import { NEXT_DOCKERD, needs, testNeeds } from "../support/needs";
import { gpubox } from "../support/project";
import { Pulse } from "../support/pulse";
import { SlowServer } from "../support/slowServer";
import { SshBox } from "../support/sshBox";
import { until } from "../support/wait";

const MINUTE = 60_000;
/** From the first instruction of a boot to the first answer on the slowest route, with the real gateway and its database. */
const BACK_SECONDS = 40;
/** What the host's shutdown may take beside requests that run: engines, gateways, Redis, Postgres, systemd. */
const SHUTDOWN_SECONDS = 30;
const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";
const { stack: STACK, port: PORT, net: NET } = allocate("machine");

const chat = { model: "tiny", max_tokens: 16, messages: [{ role: "user", content: "ping" }] };
const ROUTES = {
  "/v1/models": undefined,
  "/health/liveliness": undefined,
  "/v1/chat/completions": chat,
  "/v1/completions": { model: "tiny", max_tokens: 16, prompt: "ping" },
  "/v1/messages": chat,
};

needs(
  "docker",
  "pulumi",
  ...MACHINE,
)("a machine with systemd", () => {
  let box: SshBox<Machine>;
  let machine: Machine;
  let slow: SlowServer;
  let endpoint: string;
  let models: { tiny: object; slow: object };

  let client: Pulse;
  const ask = (body: object) =>
    fetch(`${endpoint}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${box.key}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const pulse = () => new Pulse(endpoint, box.key, ROUTES);
  const wellAgain = (since: number) =>
    until("an answer on every route", () => client.served(since), { seconds: 180, everyMs: 200 });
  const said = (what: string, figures: object) => console.info(`${what}: ${JSON.stringify(figures)}`);
  /** What each container restarts by, and what keeps Docker from starting it. */
  const policies = () =>
    machine
      .console(
        "docker inspect --format '{{.HostConfig.RestartPolicy.Name}}{{.State.Error}} {{.State.Running}}' $(docker ps -aq)",
      )
      .split("\n");

  beforeAll(async () => {
    machine = new Machine(STACK, NET);
    box = new SshBox<Machine>(STACK, PORT, NET, machine);
    await box.start();
    const outside = machine.address.replace(/2$/, "1");
    slow = new SlowServer(outside, PORT);
    models = {
      tiny: { engine: "llamacpp", model: "canned", memoryMiB: 1024, threads: 1 },
      slow: { engine: "openai", baseUrl: `http://${outside}:${PORT}/v1`, apiKey: "none", start: "manual" },
    };
    const gateway = { port: PORT, bind: machine.address, hosts: [machine.address], drainTimeout: 30 };
    box.laptop = box.checkout({ ...box.sections(), gateway, cache: {}, database: {}, models }, {});
    endpoint = `http://${machine.address}:${PORT}`;
  }, 10 * MINUTE);

  afterEach(() => client?.stop(), 2 * MINUTE);

  afterAll(async () => {
    slow?.stop();
    await box?.remove();
  }, 2 * MINUTE);

  test(
    "that is bare gets its units, is prepared once, and then a box",
    async () => {
      expect(await box.prepare()).toEqual(["packages", "daemon", "group", "directory", "firewall", "boxes"]);
      expect(await box.prepare()).toEqual([]);
      expect(machine.console("systemctl is-active gpubox-docker-user gpubox-boxes")).toBe("active\nactive");
      await box.copyImages(["gateway", "edge", "llamacpp", "cache", "database"]);
      await box.mustUp(box.laptop);
      await box.readKey();
      // The rules name the box's own networks, which are there now.
      await box.prepare();
    },
    20 * MINUTE,
  );

  test(
    "reboots under a client: a stream ends whole, what is refused is refused at once, and all is back within 40 s",
    async () => {
      client = pulse();
      await wellAgain(0);
      const answer = await ask({ ...chat, model: "slow", stream: true });
      expect(answer.status).toBe(200);
      const asked = Date.now();
      const rebooted = machine.reboot();
      const stream = await answer.text();
      const tokens = stream.match(/"content":"t\d+ "/g)?.length;
      expect([tokens, stream.trimEnd().endsWith("data: [DONE]")]).toEqual([SlowServer.TOKENS, true]);
      const drained = Date.now();
      await rebooted;
      const began = machine.boots.at(-1)!;
      await wellAgain(began);
      await client.stop();
      const back = client.secondsUntilServed(began);
      const down = (began - drained) / 1000;
      said("a reboot", { stream: (drained - asked) / 1000, down, back, failures: client.failures() });
      expect(back).toBeLessThan(BACK_SECONDS);
      expect(down).toBeLessThan(SHUTDOWN_SECONDS);
      const kinds = new Set(Object.values(client.failures()).flatMap((one) => Object.keys(one)));
      // The link itself is gone for a moment.
      for (const kind of kinds) expect(["ECONNREFUSED", "EHOSTUNREACH", "ECONNRESET"]).toContain(kind);
      await until("policies as before", () => policies().every((one) => one === "unless-stopped true"));
    },
    10 * MINUTE,
  );

  test("has its firewall rules before the first container of a boot", () => {
    const seconds = (unit: string) =>
      Number(machine.console(`systemctl show -P ActiveEnterTimestampMonotonic ${unit}`)) / 1e6;
    const rules = seconds("gpubox-docker-user");
    expect(rules).toBeGreaterThan(0);
    expect(rules).toBeLessThan(
      Number(machine.console("systemctl show -P ExecMainStartTimestampMonotonic docker")) / 1e6,
    );
    expect(machine.console("iptables -S DOCKER-USER")).toContain("--comment gpubox -j DROP");
  });

  test(
    "whose address comes late serves as soon as it comes, without a hand",
    async () => {
      // As the address of a tunnel does, whose service starts beside Docker.
      machine.console(`cat > /etc/systemd/system/early.service <<'END'
[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/sbin/ip address del ${machine.address}/24 dev eth0
[Install]
WantedBy=sysinit.target
END
systemctl daemon-reload; systemctl enable early`);
      await machine.reboot();
      const edge = `gpubox-${STACK}-edge`;
      const error = () => machine.console(`docker inspect --format '{{.State.Error}}' ${edge}`);
      await until(
        "Docker's refusal",
        () => machine.runs() && error().includes("cannot assign requested address"),
        {
          seconds: 120,
        },
      );
      machine.console(
        `systemctl disable early; ip address add ${machine.address}/24 dev eth0; ip route add default via ${machine.address.replace(/2$/, "1")}`,
      );
      const came = Date.now();
      client = pulse();
      await wellAgain(came);
      await client.stop();
      const back = client.secondsUntilServed(came);
      said("a late address", { back });
      expect(back).toBeLessThan(BACK_SECONDS);
    },
    10 * MINUTE,
  );

  /** Takes another Docker under a client, and restarts it. */
  const takesDocker = async (major: RegExp, install: () => unknown) => {
    const began = () =>
      machine.console("docker inspect --format '{{.Id}} {{.State.StartedAt}}' $(docker ps -q) | sort");
    const before = began();
    client = pulse();
    await wellAgain(Date.now());
    await install();
    const restarted = await run("nsenter", [...machine.inside(), "systemctl", "restart", "docker"], {
      env: { PATH },
    });
    expect(restarted.code).toBe(0);
    await wellAgain(Date.now());
    await client.stop();
    const version = machine.console("docker version --format '{{.Server.Version}}'");
    said("another Docker", { version, beats: client.beats.length, failures: client.failures() });
    expect(version).toMatch(major);
    // Docker's resolver is away while Docker restarts, so a gateway that asks it for a model's address answers 500.
    const { "/v1/models": list, "/health/liveliness": alive, ...asking } = client.failures();
    expect([list, alive]).toEqual([{}, {}]);
    expect(
      Object.values(asking)
        .flatMap((one) => Object.keys(one))
        .filter((kind) => kind !== "500"),
    ).toEqual([]);
    expect(began()).toBe(before);
  };

  test(
    "takes the next Docker by apt under a client: no connection is lost, and every container runs on",
    () =>
      takesDocker(/^(2[89]|[3-9]\d)\./, async () => {
        const done = await run("nsenter", [...machine.inside(), "sh", "-c", `cd /; ${takeNextDocker()}`], {
          env: { PATH },
        });
        expect([done.code, done.code === 0 ? "" : done.stdout + done.stderr]).toEqual([0, ""]);
        // Debian leaves it to a person.
        const told = JSON.parse((await gpubox(box.laptop, "host", "prepare", "--json")).stdout).notes.join();
        expect(told).toMatch(/Docker 26\.\S+ runs, and (2[89]|[3-9]\d)\.\S+ is installed/);
      }),
    15 * MINUTE,
  );

  testNeeds(NEXT_DOCKERD)(
    "takes Docker 29 under a client, drifts nowhere, and brings an edit to it",
    async () => {
      const program = readFileSync(process.env.GPUBOX_TEST_DOCKERD!);
      await takesDocker(/^29\./, () =>
        machine.console(
          "cat > /usr/sbin/next && chmod 755 /usr/sbin/next && mv /usr/sbin/next /usr/sbin/dockerd",
          program,
        ),
      );
      expect(await box.drift()).toEqual({ code: 0, differences: [] });
      box.edit(box.laptop, { models: { ...models, tiny: { ...models.tiny, aliases: ["small"] } } });
      await box.mustUp(box.laptop);
      expect((await ask({ ...chat, model: "small" })).status).toBe(200);
    },
    15 * MINUTE,
  );

  test(
    "loses power under a client and a writer: every row that Postgres took is there, and all is back within 40 s",
    async () => {
      const at = { docker: "", container: `gpubox-${STACK}-database` };
      const psql = (words: string) => insideDatabase(at, `psql -h /tmp -U postgres -qtA ${words}`);
      const sql = (text: string) => machine.console(`docker ${quoted(psql(`-c '${text}'`))}`);
      sql("CREATE TABLE written (id int PRIMARY KEY)");
      client = pulse();
      await wellAgain(Date.now());
      const writer = spawn("nsenter", [...machine.inside(), "docker", ...psql("")], {
        stdio: ["pipe", "pipe", "ignore"],
      });
      let taken = "";
      writer.stdout.on("data", (chunk) => {
        taken += chunk;
        // The next row goes out when this one is acknowledged.
        const rows = taken.split("\n").length;
        writer.stdin.write(`INSERT INTO written VALUES (${rows}) RETURNING id;\n`);
      });
      writer.stdin.on("error", () => {});
      writer.stdin.write("INSERT INTO written VALUES (0) RETURNING id;\n");
      await until("a thousand rows", () => taken.split("\n").length > 1000, { seconds: 120 });
      await machine.cutPower();
      const acknowledged = taken.split("\n").filter(Boolean).map(Number);
      machine.boot();
      const began = machine.boots.at(-1)!;
      await wellAgain(began);
      await client.stop();
      const back = client.secondsUntilServed(began);
      const rows = await until("Postgres", () => attempt(() => sql("SELECT id FROM written")), {
        everyMs: 500,
      });
      const there = new Set(rows.split("\n").map(Number));
      said("a power cut", { rows: acknowledged.length, back, failures: client.failures() });
      expect(acknowledged.length).toBeGreaterThan(1000);
      expect(acknowledged.filter((id) => !there.has(id))).toEqual([]);
      expect(back).toBeLessThan(BACK_SECONDS);
    },
    10 * MINUTE,
  );

  test(
    "gives its units back and keeps its box",
    async () => {
      const before = machine.console("docker ps -q | sort");
      expect(await box.prepare("--remove")).toEqual(["firewall", "boxes"]);
      expect(machine.console("ls /etc/systemd/system /usr/local/sbin | grep gpubox || true")).toBe("");
      expect(machine.console("docker ps -q | sort")).toBe(before);
      expect(await box.prepare("--remove")).toEqual([]);
    },
    5 * MINUTE,
  );
});

/** What an action gives; undefined where it fails. */
function attempt<Of>(action: () => Of): Of | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}

/** Words for a shell. */
function quoted(words: string[]): string {
  return words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
}
