import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { allocate } from "../support/allocate";
import { LEAST_LOAD } from "../support/benchWords";
import { editStack, exportsIn, inShell } from "../support/box";
import { hasOpenssl, makeAuthority, makeCertificate } from "../support/certificates";
import { needs } from "../support/needs";
import { gpubox, makeProject, removeProject, type TestProject } from "../support/project";
import { handshake, pebbleFiles } from "./tls/certificates";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("tls");
const HOST = "box.test";
const PEBBLE = `gpubox-${STACK}-pebble`;

type Sections = Record<string, Record<string, unknown>>;

needs(
  "docker",
  "pulumi",
  "openssl",
  "pebble",
  "the image gpubox/gateway",
)("a stack with TLS", () => {
  let project: TestProject;
  let exports: string[];
  /** An address of this machine that containers reach too. */
  let address: string;
  const authority = hasOpenssl ? makeAuthority() : { certificate: "", key: "" };
  const own = hasOpenssl ? makeCertificate({ names: [HOST, "*.box.test"], by: authority }) : authority;

  const pulumi = (command: string) => inShell(project, exports, `pulumi ${command} --stack ${STACK}`);
  const edit = (change: (gateway: Record<string, unknown>) => void) =>
    editStack(project, (config) => change((config as unknown as Sections)["gpubox:gateway"]!));
  const seen = (port = PORT) => handshake(port, { servername: HOST, address });

  beforeAll(async () => {
    // Docker does not name the gateway of its default bridge before its second start.
    const bridge = await output("ip", ["-4", "-oneline", "address", "show", "docker0"]);
    address = /inet ([\d.]+)/.exec(bridge)![1]!;
    project = makeProject(
      STACK,
      PORT,
      { cache: { mode: "none" }, database: { mode: "none" } },
      { gateway: "stub" },
    );
    const pebble = pebbleFiles(
      join(project.dir, "pebble"),
      makeCertificate({ names: [address], by: authority }),
      {
        listenAddress: `${address}:${PORT + 8}`,
        managementListenAddress: `${address}:${PORT + 9}`,
        httpPort: PORT + 2,
      },
    );
    await output("docker", [
      ...["run", "--detach", "--name", PEBBLE, "--network", "host", "--add-host", `${HOST}:${address}`],
      ...pebble,
    ]);
    editStack(project, (config) => {
      (config as unknown as Sections)["gpubox:gateway"] = {
        ...{ port: PORT, drainTimeout: 30, bind: address, hosts: [HOST], admin: { bind: address } },
        tls: {
          acme: {
            agreeToTerms: true,
            directory: `https://${address}:${PORT + 8}/dir`,
            trust: authority.certificate,
            port: PORT + 2,
          },
        },
      };
    });
  }, MINUTE);
  afterAll(async () => {
    await run("docker", ["rm", "--force", PEBBLE]);
    if (project) removeProject(project);
  }, MINUTE);

  test(
    "`up` gets a certificate by ACME, and tests the box as clients use it",
    async () => {
      const up = await gpubox(project, "up", "--yes");
      expect(up.stderr).toBe("");
      exports = exportsIn(up.stdout);
      expect(up.stdout).toMatch(
        / {2}ok {4}certificate {3}for box\.test, until \d{4}-\d\d-\d\d, by Pebble.*which this machine does not trust/,
      );
      expect(up.stdout).toContain(`The box serves at https://${HOST}:${PORT}`);
      const [again, { serial }, admin] = await Promise.all([
        pulumi("preview --refresh --expect-no-changes"),
        seen(),
        seen(PORT + 1),
      ]);
      expect(serial).toMatch(/^[0-9A-F]+$/);
      expect(admin.serial).toBe(serial);
      expect([again.code, again.stderr]).toEqual([0, ""]);
    },
    8 * MINUTE,
  );

  test(
    "the same stack switches to its own files, whose key is nowhere in the state",
    async () => {
      const dir = join(project.dir, "pem");
      mkdirSync(dir, { mode: 0o700 });
      for (const [name, text] of [
        ["certificate.pem", own.certificate],
        ["key.pem", own.key],
      ])
        writeFileSync(join(dir, name!), text!, { mode: 0o600 });
      edit((gateway) => {
        gateway.tls = { certificate: join(dir, "certificate.pem"), key: join(dir, "key.pem") };
      });
      const before = await seen();
      const up = await pulumi("up --yes --skip-preview");
      expect([up.code, up.stderr]).toEqual([0, ""]);
      const { serial } = await seen();
      expect(serial).not.toBe(before.serial);
      const [smoke, state, again] = await Promise.all([
        gpubox(project, "smoke"),
        pulumi("stack export"),
        pulumi("preview --refresh --expect-no-changes"),
      ]);
      expect([smoke.code, smoke.stdout]).toEqual([0, expect.stringContaining("certificate   for box.test")]);
      const mode = "{{.HostConfig.NetworkMode}} {{.Config.User}}";
      expect(await output("docker", ["inspect", "--format", mode, `gpubox-${STACK}-certificates`])).toBe(
        "none 0:99",
      );
      const line = /-----BEGIN PRIVATE KEY-----\n(.+)\n/.exec(own.key)![1]!;
      expect(state.stdout).toContain("certificates");
      expect(state.stdout).not.toContain(line.slice(0, 40));
      expect([again.code, again.stderr]).toEqual([0, ""]);
      const speed = await gpubox(project, "bench", "model", "tiny", ...LEAST_LOAD, "--json");
      expect([speed.code, speed.code === 0 || speed.stderr]).toEqual([0, true]);
      expect(JSON.parse(speed.stdout).cases).toMatchObject([{ answered: 2, failed: 0 }]);
    },
    5 * MINUTE,
  );

  test(
    "and finally to secrets: preview refuses another certificate's key, and the right one is served",
    async () => {
      edit((gateway) => {
        gateway.tls = { certificate: { secret: "tlsCertificate" }, key: { secret: "tlsKey" } };
      });
      const third = makeCertificate({ names: [HOST], by: authority });
      const set = (name: string, text: string) => {
        writeFileSync(join(project.dir, "value.pem"), text);
        return inShell(
          project,
          exports,
          `pulumi config set --secret gpubox:${name} --stack ${STACK} < value.pem`,
        );
      };
      await set("tlsCertificate", third.certificate);
      await set("tlsKey", authority.key);
      const preview = await pulumi("preview");
      expect(preview.code).not.toBe(0);
      expect(preview.stdout + preview.stderr).toContain(
        "gpubox:gateway.tls.certificate: The certificate and the key do not belong together.",
      );
      const before = await seen();
      await set("tlsKey", third.key);
      const up = await pulumi("up --yes --skip-preview");
      expect([up.code, up.stderr]).toEqual([0, ""]);
      const { serial } = await seen();
      expect([serial === undefined, serial === before.serial]).toEqual([false, false]);
      const state = await pulumi("stack export");
      expect(state.stdout + up.stdout).not.toContain(third.key.split("\n")[1]!.slice(0, 40));
    },
    5 * MINUTE,
  );
});
