import { chmodSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CERTIFICATES_DIR, HTTP_PORT } from "../../configs/plan/haproxy/tls";
import { hasOpenssl, makeAuthority, makeCertificate, type Pair } from "../support/certificates";
import { needs } from "../support/needs";
import { pause } from "../support/wait";
import { ask, shortRequests, stream } from "./haproxy/client";
import { describeLab, eventually, Lab, type LabEdge, MASTER_KEY } from "./haproxy/lab";
import { buildAcme, handshake, pebbleFiles, planFor, startCertificates } from "./tls/certificates";
import { H2Client } from "./tls/h2";

const MINUTE = 60_000;
const HOST = "box.example";
const NAMES = [HOST, "127.0.0.1"];
/** Seconds of a stream across a renewal of files, which two busy cores need a few for, and of one by ACME. */
const STREAM = 20;
const STREAM_ACME = 18;

/** Both need the lab as well, which says by itself what it lacks. */
const inLab = (...more: string[]) => (describeLab === describe ? needs(...more) : describeLab);
const describeFiles = inLab("openssl");
const describeAcme = inLab("openssl", "pebble");

describeFiles("own certificate files", () => {
  const lab = new Lab();
  const authority = hasOpenssl ? makeAuthority() : { certificate: "", key: "" };
  const tls = { ca: authority.certificate, servername: HOST };
  const live = join(lab.dir, "letsencrypt/live/box");
  const archive = join(lab.dir, "letsencrypt/archive/box");
  let generation = 0;

  /** Renews as certbot does: new files in `archive`, then the links in `live`, one after the other. */
  const renew = async (pair: Pair, between: () => Promise<void> = async () => {}) => {
    generation++;
    for (const [name, text] of [
      ["fullchain", pair.certificate],
      ["privkey", pair.key],
    ]) {
      writeFileSync(join(archive, `${name}${generation}.pem`), text!, { mode: 0o600 });
      symlinkSync(`../../archive/box/${name}${generation}.pem`, join(live, `${name}.new`));
      renameSync(join(live, `${name}.new`), join(live, `${name}.pem`));
      if (name === "fullchain") await between();
    }
  };
  const renewed = () => lab.exec("certificates", "sh", "/etc/gpubox/renew.sh");

  beforeAll(async () => {
    await lab.open();
    for (const dir of [live, archive]) mkdirSync(dir, { recursive: true, mode: 0o700 });
    chmodSync(join(lab.dir, "letsencrypt/live"), 0o700);
    await renew(makeCertificate({ names: NAMES, by: authority }));
    const gateway = { tls: { certificate: join(live, "fullchain.pem"), key: join(live, "privkey.pem") } };
    await startCertificates(lab, planFor(lab, gateway));
    await eventually(
      async () => (await lab.exec("certificates", "test", "-s", `${CERTIFICATES_DIR}/tls.pem`)).code === 0,
    );
    await Promise.all([
      lab.stub("a"),
      lab.edge({
        hosts: [HOST],
        tls: { certificate: `${CERTIFICATES_DIR}/tls.pem` },
        adminTls: true,
        metrics: true,
        maxRequests: 30,
        adminHosts: ["admin.example"],
        certificates: join(lab.dir, "certificates"),
      }),
    ]);
    expect((await lab.switch("a")).code).toBe(0);
  }, MINUTE);
  afterAll(() => lab.close(), MINUTE);

  test("the clients' port speaks TLS only, 1.2 or newer, by name and by address", async () => {
    expect((await ask(lab.clientPort, "/v1/models", { tls })).json.name).toBe("a");
    const byAddress = { ca: authority.certificate, servername: "" };
    const answer = await ask(lab.clientPort, "/v1/models", {
      tls: byAddress,
      headers: { Host: "127.0.0.1" },
    });
    expect(answer.status).toBe(200);
    await expect(ask(lab.clientPort, "/v1/models")).rejects.toThrow();
    expect(await handshake(lab.clientPort, { maxVersion: "TLSv1.1" })).toEqual({
      error: expect.stringMatching(/alert|closed/),
    });
    expect((await handshake(lab.clientPort, { alpn: ["h2", "http/1.1"] })).protocol).toBe("h2");
  });

  test("the admin port is plain at one listener and speaks TLS at the other, for its own names too", async () => {
    expect((await ask(lab.adminPort, "/key/list")).status).toBe(200);
    const asAdmin = { servername: "admin.example" };
    expect((await ask(lab.adminTlsPort, "/key/list", { tls: asAdmin })).status).toBe(200);
    expect((await ask(lab.clientPort, "/v1/models", { tls: asAdmin })).status).toBe(421);
  });

  test("only root and the edge's group can read the key, and the edge cannot write it", async () => {
    const { stdout } = await lab.exec(
      "certificates",
      "stat",
      "-c",
      "%a %u:%g %n",
      CERTIFICATES_DIR,
      `${CERTIFICATES_DIR}/tls.pem`,
    );
    expect(stdout).toBe(`750 0:99 ${CERTIFICATES_DIR}\n640 0:99 ${CERTIFICATES_DIR}/tls.pem\n`);
    expect((await lab.exec("edge", "touch", `${CERTIFICATES_DIR}/tls.pem`)).code).toBe(1);
  });

  test(
    "renewed files are loaded while eight streams run, over HTTP/1.1 and HTTP/2: nothing is lost",
    async () => {
      const before = (await handshake(lab.clientPort)).serial;
      const next = makeCertificate({ names: NAMES, by: authority });
      const other = new H2Client(lab.clientPort, authority.certificate);
      const quick = new H2Client(lab.clientPort, authority.certificate);
      const streams = [
        ...Array.from({ length: 4 }, () => stream(lab.clientPort, STREAM, tls)),
        ...Array.from({ length: 4 }, () => other.stream(STREAM)),
      ];
      let ended = 0;
      for (const one of streams) void one.then(() => ended++);
      const done = Promise.all(streams);
      const load = shortRequests(lab.clientPort, 4, done, () => ({ tls }));
      const quickLoad = quick.short(done);
      await pause(1000, "some requests have been answered before it");
      // Half a renewal is none: the key does not belong to the new certificate.
      await renew(next, async () => {
        const { code, stderr } = await renewed();
        expect([code, stderr]).toEqual([
          1,
          expect.stringContaining("The certificate and the key are not taken: "),
        ]);
        expect((await handshake(lab.clientPort)).serial).toBe(before);
      });
      await eventually(async () => (await handshake(lab.clientPort)).serial !== before);
      expect(ended).toBe(0);
      const [short, h2] = [await load, await quickLoad];
      console.log(`renewal under load: ${short.answered} requests by HTTP/1.1, ${h2.answered} by HTTP/2`);
      expect([short.failed, h2.failed]).toEqual([[], []]);
      expect(short.answered).toBeGreaterThan(200);
      expect(h2.answered).toBeGreaterThan(100);
      expect(quick.opened).toBeGreaterThan(1);
      expect(await Promise.all(streams)).toEqual(Array(8).fill(undefined));
      for (const client of [other, quick]) client.close();
    },
    2 * MINUTE,
  );

  test("Prometheus gets the expiry of the certificate that is served, also after a reload for another reason", async () => {
    const told = async () => {
      const script =
        "exec 3<>/dev/tcp/127.0.0.1/4004; printf 'GET /certificate HTTP/1.0\\r\\n\\r\\n' >&3; tail -n 1 <&3";
      return (await lab.exec("edge", "bash", "-c", script)).stdout.trim();
    };
    const metric = (end = "") =>
      `gpubox_certificate_expiry_timestamp_seconds{host="${HOST}"} ${Date.parse(end) / 1000}`;
    const first = (await handshake(lab.clientPort)).end;
    expect(await told()).toBe(metric(first));
    await renew(makeCertificate({ names: NAMES, by: authority, days: 20 }));
    await eventually(async () => (await handshake(lab.clientPort)).end !== first);
    await eventually(async () => (await told()) === metric((await handshake(lab.clientPort)).end));
    expect((await lab.reload()).code).toBe(0);
    expect(await told()).toBe(metric((await handshake(lab.clientPort)).end));
  });

  test("requests beyond the limit get a 503, also on one connection of HTTP/2", async () => {
    const client = new H2Client(lab.clientPort, authority.certificate);
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => client.post("/v1/chat/completions?stream=3")),
    );
    client.close();
    expect(client.opened).toBe(1);
    const count = (wanted: number) => answers.filter(({ status }) => status === wanted).length;
    expect([count(200), count(503)]).toEqual([30, 10]);
    expect(answers.find(({ status }) => status === 503)!.text).toContain("30 requests at work");
  });

  test("a file that goes away changes nothing", async () => {
    const before = (await handshake(lab.clientPort)).serial;
    renameSync(join(live, "privkey.pem"), join(live, "away.pem"));
    const { code, stderr } = await renewed();
    expect([code, stderr]).toEqual([
      1,
      `${join(live, "privkey.pem")} cannot be read: it is not there, root does not own it, or it is a link to elsewhere.\n`,
    ]);
    expect((await handshake(lab.clientPort)).serial).toBe(before);
    renameSync(join(live, "away.pem"), join(live, "privkey.pem"));
  });
});

describeAcme("certificates by ACME", () => {
  const lab = new Lab();
  const authority = hasOpenssl ? makeAuthority() : { certificate: "", key: "" };
  const tls = { servername: HOST };
  const renew = () => lab.exec("certificates", "sh", "/etc/gpubox/renew.sh");
  const edge: LabEdge = {
    hosts: [HOST],
    tls: { certificate: CERTIFICATES_DIR, strictSni: true, challenges: { httpsPort: 4443 } },
    certificates: join(lab.dir, "certificates"),
  };

  beforeAll(async () => {
    await Promise.all([buildAcme(), lab.open()]);
    const pebble = pebbleFiles(
      join(lab.dir, "pebble"),
      makeCertificate({ names: ["pebble"], by: authority }),
      {
        listenAddress: "0.0.0.0:14000",
        managementListenAddress: "0.0.0.0:15000",
        httpPort: HTTP_PORT,
      },
    );
    await lab.start("pebble", ["--network-alias", "pebble", ...pebble]);
    const acme = {
      agreeToTerms: true,
      email: "somebody@box.example",
      directory: "https://pebble:14000/dir",
      trust: authority.certificate,
    };
    await startCertificates(lab, planFor(lab, { bind: "0.0.0.0", hosts: [HOST], tls: { acme } }));
    await Promise.all([lab.stub("a"), lab.edge(edge)]);
    expect((await lab.switch("a")).code).toBe(0);
  }, 2 * MINUTE);
  afterAll(() => lab.close(), MINUTE);

  test("without a certificate the edge runs but admits nobody", async () => {
    expect(await handshake(lab.clientPort)).toEqual({ error: expect.any(String) });
    expect((await ask(lab.adminPort, "/key/list")).status).toBe(200);
  });

  test("plain HTTP leads to https, and says so to whoever sent a key", async () => {
    const headers = { Host: HOST };
    const led = await ask(lab.plainPort, "/v1/models?x=1", { key: null, headers });
    expect([led.status, led.headers.location]).toEqual([308, `https://${HOST}:4443/v1/models?x=1`]);
    const warned = await ask(lab.plainPort, "/v1/models", { headers });
    expect([warned.status, warned.json.error?.type]).toEqual([403, "permission_denied"]);
    expect((await ask(lab.plainPort, "/", { key: null, headers: { Host: "other.example" } })).status).toBe(
      421,
    );
  });

  test(
    "an authority that refuses says why, and nothing changes",
    async () => {
      // An edge that does not know the name gives the authority another answer than the one it wants.
      lab.writeEdge({ ...edge, hosts: ["other.example"] });
      expect((await lab.reload()).code).toBe(0);
      const { code, stderr } = await renew();
      lab.writeEdge(edge);
      expect((await lab.reload()).code).toBe(0);
      expect([code, stderr]).toEqual([1, expect.stringContaining(`Domain: ${HOST}`)]);
      expect((await lab.exec("certificates", "ls", "-A", CERTIFICATES_DIR)).stdout).toBe("");
    },
    MINUTE,
  );

  test(
    "the first certificate comes, is kept while it is good, and renewed before it ends, while eight streams run",
    async () => {
      expect((await renew()).code).toBe(0);
      await eventually(async () => (await handshake(lab.clientPort)).serial !== undefined);
      const { serial } = await handshake(lab.clientPort);
      const root = await issuer(lab);
      const trusted = { ...tls, ca: root };
      expect((await ask(lab.clientPort, "/v1/models", { tls: trusted })).json.name).toBe("a");
      expect(await handshake(lab.clientPort, { servername: "other.example" })).toEqual({
        error: expect.any(String),
      });

      const kept = await renew();
      expect([kept.code, kept.stderr]).toEqual([0, expect.stringContaining("not yet due for renewal")]);

      const streams = Array.from({ length: 8 }, () => stream(lab.clientPort, STREAM_ACME, trusted));
      let ended = 0;
      for (const one of streams) void one.then(() => ended++);
      const load = shortRequests(lab.clientPort, 4, Promise.all(streams), () => ({ tls: trusted }));
      // As if two months had gone by: it is due for certbot's own rule.
      await lab.exec(
        "certificates",
        ...[
          "sh",
          "-c",
          "sed -i 's/^# renew_before_expiry.*/renew_before_expiry = 100 days/' /var/lib/acme/renewal/*",
        ],
      );
      expect((await renew()).code).toBe(0);
      await eventually(async () => (await handshake(lab.clientPort)).serial !== serial);
      expect(ended).toBe(0);
      const { answered, failed } = await load;
      expect(failed).toEqual([]);
      expect(answered).toBeGreaterThan(200);
      expect(await Promise.all(streams)).toEqual(Array(8).fill(undefined));
    },
    3 * MINUTE,
  );

  test("the key is in no log and on no command line", async () => {
    const logs = (
      await Promise.all(["certificates", "edge"].map((name) => lab.docker("logs", lab.name(name))))
    ).join();
    const { stdout } = await lab.exec("certificates", "cat", `${CERTIFICATES_DIR}/tls.pem`);
    const line = /-----BEGIN PRIVATE KEY-----\n(.+)\n/.exec(stdout)![1]!;
    expect(line.length).toBeGreaterThan(60);
    expect(logs).not.toContain(line.slice(0, 40));
    expect(logs).not.toContain(MASTER_KEY);
    const state = await lab.exec(
      "certificates",
      "sh",
      "-c",
      "stat -c '%a %u:%g' /var/lib/acme /var/lib/certificates/tls.pem",
    );
    expect(state.stdout).toBe("750 65533:65533\n640 65533:99\n");
  });
});

/** The root that pebble made for itself. */
async function issuer(lab: Lab): Promise<string> {
  const script =
    "import ssl, urllib.request as r; print(r.urlopen('https://localhost:15000/roots/0', context=ssl._create_unverified_context()).read().decode())";
  return (await lab.exec("pebble", "python3", "-c", script)).stdout;
}
