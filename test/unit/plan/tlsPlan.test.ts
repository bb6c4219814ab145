import { parse } from "yaml";
import { renderText } from "../../../configs/kit/text";
import type { BoxPlan } from "../../../configs/kit/types";
import { secretFacts } from "../../../configs/secrets/facts";
import { composeFile } from "../../../operations/compose/composeFile";
import { hasOpenssl, makeCertificate } from "../../support/certificates";
import { testPlan, testSecrets } from "../../support/stacks";
import { ACME, FILES, PUBLIC, problems, SECRETS, texts } from "../../support/tlsStacks";

describe("gateway.admin", () => {
  test.each<[string, Record<string, unknown>, string[]]>([
    ["with TLS", { tls: FILES, admin: { bind: "100.64.0.7" } }, []],
    ["where somebody said so, without", { admin: { bind: "100.64.0.7", unencrypted: true } }, []],
    [
      "without TLS",
      { admin: { bind: "100.64.0.7" } },
      ["gpubox:gateway.admin.bind: Without TLS the master key would cross the network in clear."],
    ],
    ...["0.0.0.0", "::", "127.0.0.1", "::1"].map((bind): [string, Record<string, unknown>, string[]] => [
      `at ${bind}`,
      { tls: FILES, admin: { bind } },
      [
        `gpubox:gateway.admin.bind: ${bind} is no single address besides loopback, where the admin port is anyway.`,
      ],
    ]),
    [
      "for a name that ACME does not know of",
      { ...PUBLIC, tls: { acme: ACME }, admin: { bind: "100.64.0.7", hosts: ["box.tailnet.ts.net"] } },
      ["gpubox:gateway.admin.hosts: The certificate is not for box.tailnet.ts.net."],
    ],
  ])("%s", (_, gateway, expected) => {
    expect(texts(problems(gateway))).toEqual(expected);
  });
});

describe("the plan", () => {
  const PEM = {
    tlsCertificate: "-----BEGIN CERTIFICATE-----\nPLANTED-certificate",
    tlsKey: "-----BEGIN PRIVATE KEY-----\nPLANTED-key",
  };
  const plan = (gateway: Record<string, unknown>, secrets = testSecrets) => testPlan({ gateway }, secrets);
  const clientsBind = ({ edge }: BoxPlan) =>
    /frontend clients from front\n {2}(bind .*)/.exec(
      renderText(edge.directory.files["haproxy.cfg"]!.text, testSecrets),
    )![1];

  test("without TLS nothing changes", () => {
    const { certificates, edge, endpoint } = plan({});
    expect([certificates, endpoint]).toEqual([undefined, "http://127.0.0.1:4000"]);
    expect(clientsBind(plan({}))).toBe("bind :4000");
    expect(edge.container.ports).toEqual([
      { bind: "127.0.0.1", port: 4000, containerPort: 4000 },
      { bind: "127.0.0.1", port: 4001, containerPort: 4001 },
    ]);
  });

  test("files of the host are copied by a root without capabilities and without a network", () => {
    const box = plan({ hosts: ["box.example"], tls: FILES });
    const { container, order, writable } = box.certificates!;
    expect([order, container.user, container.networks, container.capAdd]).toEqual([
      "before-edge",
      "0:99",
      {},
      undefined,
    ]);
    // certbot's links lead out of `live`.
    expect(container.mounts.at(-1)).toEqual({
      kind: "directory",
      source: "/etc/letsencrypt",
      target: "/host/etc/letsencrypt",
      readOnly: true,
    });
    expect(writable).toEqual([{ path: "/srv/gpubox/certificates", uid: 0, gid: 99 }]);
    expect(box.edge.container.mounts.at(-1)).toEqual({
      kind: "directory",
      source: "/srv/gpubox/certificates",
      target: "/var/lib/certificates",
      readOnly: true,
    });
    expect(box.endpoint).toBe("https://box.example:4000");
    expect(clientsBind(box)).toMatch(
      /^bind :4000 ssl crt \/var\/lib\/certificates\/tls\.pem alpn h2,http\/1\.1 ssl-min-ver TLSv1\.2 /,
    );
  });

  test("the files of other programs are mounted by their directories, each once", () => {
    const sources = (certificate: string, key: string) =>
      plan({ tls: { certificate, key } })
        .certificates!.container.mounts.slice(2)
        .map(({ source }) => source);
    expect(sources("/var/lib/x/a.crt", "/var/lib/x/a.key")).toEqual(["/var/lib/x"]);
    expect(sources("/etc/ssl/a.crt", "/etc/ssl/private/a.key")).toEqual(["/etc/ssl", "/etc/ssl/private"]);
  });

  test("secrets go into the edge's own directory, and into no plan as text", () => {
    const raw = { ...testSecrets, ...PEM };
    const facts = secretFacts(raw, () => true);
    expect(facts.tlsKey!.flaw).toContain("line break");
    const { certificate, key } = hasOpenssl
      ? makeCertificate({ names: ["box.example"] })
      : { certificate: "", key: "" };
    if (!hasOpenssl) return;
    const box = plan(
      { hosts: ["box.example"], tls: SECRETS },
      { ...testSecrets, tlsCertificate: certificate, tlsKey: key },
    );
    expect(box.certificates).toBeUndefined();
    expect(box.edge.directory.files["tls.pem"]).toEqual({
      mode: "0640",
      text: [{ secret: "tlsCertificate", as: "raw" }, "\n", { secret: "tlsKey", as: "raw" }, "\n"],
    });
    expect(clientsBind(box)).toContain("ssl crt /etc/gpubox/tls.pem ");
    expect(JSON.stringify(box) + composeFile(box)).not.toContain("-----BEGIN");
  });

  test("ACME comes after the edge, and has a plain port, its own client and a list of names", () => {
    const trust = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
    const acme = { ...ACME, email: "me@example.com", directory: "https://ca.example/dir", trust };
    const box = plan({ ...PUBLIC, hosts: ["b.example.com", "a.example.com"], tls: { acme } });
    const { container, directory, order, writable } = box.certificates!;
    expect([order, container.role, container.user]).toEqual(["after-edge", "acme", "65533:99"]);
    expect(container.networks).toEqual({ edge: ["certificates"] });
    expect(writable.map(({ path, uid, gid }) => [path, uid, gid])).toEqual([
      ["/srv/gpubox/certificates", 65533, 99],
      ["/srv/gpubox/acme", 65533, 65533],
    ]);
    const ini = renderText(directory.files["certbot.ini"]!.text, {});
    for (const line of [
      "server = https://ca.example/dir",
      "domains = b.example.com,a.example.com",
      "email = me@example.com",
      "keep-until-expiring = true",
    ])
      expect(ini.split("\n")).toContain(line);
    expect(renderText(directory.files["trust.pem"]!.text, {})).toBe(trust);
    expect(box.edge.container.ports).toContainEqual({ bind: "203.0.113.5", port: 80, containerPort: 4003 });
    expect(clientsBind(box)).toContain("ssl crt /var/lib/certificates strict-sni ");
    expect(box.endpoint).toBe("https://b.example.com");
  });

  test("other names or another authority make another certificate, another order of names does not", () => {
    const lineage = (hosts: string[], directory = "https://ca.example/dir") =>
      plan({ ...PUBLIC, hosts, tls: { acme: { ...ACME, directory } } }).certificates!.container.env
        .GPUBOX_LINEAGE;
    const one = lineage(["a.example.com", "b.example.com"]);
    expect(lineage(["b.example.com", "a.example.com"])).toBe(one);
    expect(lineage(["a.example.com"])).not.toBe(one);
    expect(lineage(["a.example.com", "b.example.com"], "https://other.example/dir")).not.toBe(one);
  });

  test("the admin port is published twice: plain on loopback, and with TLS or plain if the config opens it", () => {
    const ports = (gateway: Record<string, unknown>) =>
      plan(gateway)
        .edge.container.ports.slice(1)
        .map(({ bind, port, containerPort }) => [bind, port, containerPort]);
    const admin = { bind: "100.64.0.7", hosts: ["admin.example"] };
    expect(ports({ tls: FILES, admin })).toEqual([
      ["127.0.0.1", 4001, 4001],
      ["100.64.0.7", 4001, 4005],
    ]);
    expect(ports({ admin: { ...admin, unencrypted: true } })).toEqual([
      ["127.0.0.1", 4001, 4001],
      ["100.64.0.7", 4001, 4001],
    ]);
    const cfg = renderText(
      plan({ tls: FILES, admin }).edge.directory.files["haproxy.cfg"]!.text,
      testSecrets,
    );
    const [clients, rest] = cfg.split("frontend admin from front");
    expect(clients).not.toContain("admin.example");
    expect(rest).toContain("-m str admin.example");
    expect(rest).toContain("-m str 100.64.0.7");
  });

  test("as a Compose file: the copier has no network and comes before the edge", () => {
    const services = parse(composeFile(plan({ tls: FILES }))).services;
    expect(services.certificates.network_mode).toBe("none");
    expect(services.certificates.networks).toBeUndefined();
    expect(services.edge.depends_on).toEqual({ certificates: { condition: "service_healthy" } });
    const acme = parse(composeFile(plan({ ...PUBLIC, tls: { acme: ACME } }))).services;
    expect(acme.edge.depends_on).toBeUndefined();
    expect(acme.certificates.networks).toEqual({ edge: { aliases: ["certificates"] } });
  });
});
