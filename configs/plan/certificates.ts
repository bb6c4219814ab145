import type { MountPlan } from "../kit/containerPlan";
import { renewAndAwaitHealthy } from "../kit/steps";
import type { FilePlan } from "../kit/text";
import { configFile, directory, hashOf } from "../kit/text";
import type { CertificatesPlan } from "../kit/types";
import type { StackConfig } from "../stack/config";
import { assetFile, container, health, type PlanContext } from "./context";
import { certificatesPath, HAPROXY } from "./edge";
import { CERTIFICATES_DIR } from "./haproxy/tls";

/** A uid of its own for the ACME client: nothing else on a box has it. */
const ACME = 65533;

/** Seconds between two looks at the files of the host. */
const COPY_SECONDS = 10;

/** Seconds between two looks at whether a certificate is due: half a day, as certbot's own timer does. */
const ACME_SECONDS = 43_200;

/** Seconds until a failed try is repeated. Let's Encrypt allows five failures an hour for each name. */
const ACME_RETRY_SECONDS = 3600;

/**
 * The container that keeps the edge's certificate up to date by copying files of the host or by ACME. Undefined without TLS, and
 * when the certificate is a secret.
 */
export function planCertificates(context: PlanContext): CertificatesPlan | undefined {
  const { tls } = context.config.gateway;
  if (tls?.acme) return planAcme(context, tls.acme);
  if (typeof tls?.certificate === "string" && typeof tls.key === "string")
    return planCopy(context, tls.certificate, tls.key);
  return undefined;
}

function planCopy(context: PlanContext, certificate: string, key: string): CertificatesPlan {
  const sources = [...new Set([certificate, key].map(directoryOf))];
  return plan(context, {
    order: "before-edge",
    role: "edge",
    uid: 0,
    files: {
      "renew.sh": assetFile(context, "certificates/copy.sh"),
      "try.cfg": assetFile(context, "certificates/try.cfg"),
    },
    env: { GPUBOX_CERTIFICATE: `/host${certificate}`, GPUBOX_KEY: `/host${key}` },
    first: 0,
    interval: COPY_SECONDS,
    retry: COPY_SECONDS,
    mounts: sources.map((path) => ({
      kind: "directory",
      source: path,
      target: `/host${path}`,
      readOnly: true,
    })),
    writable: [],
    networks: {},
    readySeconds: 60,
  });
}

/** Mounts the directory instead of the file, because a renewal replaces the file. certbot's `live` holds links into `archive`. */
function directoryOf(path: string): string {
  const certbots = /^(\/.+)\/live\/[^/]+\/[^/]+$/.exec(path);
  return certbots?.[1] ?? path.slice(0, path.lastIndexOf("/"));
}

type Acme = NonNullable<NonNullable<StackConfig["gateway"]["tls"]>["acme"]>;

function planAcme(context: PlanContext, acme: Acme): CertificatesPlan {
  const { hosts } = context.config.gateway;
  // Another authority or other names are another certificate; what is still good of an earlier one is found again.
  const lineage = `gpubox-${hashOf({ directory: acme.directory, hosts: [...hosts].sort() })}`;
  const state = { path: `${context.dataDir}/acme`, uid: ACME, gid: ACME };
  const options = [
    "# Made by gpubox from the stack's config.",
    `server = ${acme.directory}`,
    `domains = ${hosts.join(",")}`,
    `cert-name = ${lineage}`,
    acme.email ? `email = ${acme.email}` : "register-unsafely-without-email = true",
    "agree-tos = true",
    "non-interactive = true",
    "keep-until-expiring = true",
    "authenticator = standalone",
    "preferred-challenges = http",
    "preconfigured-renewal = true",
    "http-01-port = 8080",
    "config-dir = /var/lib/acme",
    "work-dir = /tmp/work",
    "logs-dir = /tmp/log",
    "max-log-backups = 0",
  ];
  return plan(context, {
    order: "after-edge",
    role: "acme",
    uid: ACME,
    files: {
      "renew.sh": assetFile(context, "certificates/acme.sh"),
      "certbot.ini": configFile(`${options.join("\n")}\n`),
      ...(acme.trust ? { "trust.pem": configFile(acme.trust) } : {}),
    },
    env: { GPUBOX_LINEAGE: lineage, HOME: "/tmp", PYTHONDONTWRITEBYTECODE: "1" },
    // `up` asks for the first one itself and shows what the authority says; this is for a start without `up`.
    first: 60,
    interval: ACME_SECONDS,
    retry: ACME_RETRY_SECONDS,
    mounts: [{ kind: "directory", source: state.path, target: "/var/lib/acme", readOnly: false }],
    writable: [state],
    networks: { edge: ["certificates"] },
    readySeconds: 300,
  });
}

interface Choices {
  order: CertificatesPlan["order"];
  role: "edge" | "acme";
  uid: number;
  files: Record<string, FilePlan>;
  env: Record<string, string>;
  /** Seconds. */
  first: number;
  interval: number;
  retry: number;
  mounts: MountPlan[];
  writable: CertificatesPlan["writable"];
  networks: CertificatesPlan["container"]["networks"];
  readySeconds: number;
}

function plan(context: PlanContext, choices: Choices): CertificatesPlan {
  const { env, files, first, interval, mounts, networks, order, readySeconds, retry, role, uid } = choices;
  // The edge's group, so that the edge may read what is written.
  const output = { path: certificatesPath(context.dataDir), uid, gid: HAPROXY };
  const own = directory(
    `${context.dataDir}/certificates-config`,
    HAPROXY,
    { "loop.sh": assetFile(context, "certificates/loop.sh"), ...files },
    context.secrets,
  );
  const issued = ["CMD", "test", "-s", `${CERTIFICATES_DIR}/tls.pem`];
  return {
    order,
    directory: own,
    writable: [output, ...choices.writable],
    gate: renewAndAwaitHealthy(issued),
    container: container(
      context,
      {
        name: "certificates",
        role,
        entrypoint: ["sh"],
        command: ["/etc/gpubox/loop.sh"],
        user: `${uid}:${HAPROXY}`,
        env: {
          ...env,
          GPUBOX_FIRST: String(first),
          GPUBOX_INTERVAL: String(interval),
          GPUBOX_RETRY: String(retry),
        },
        networks,
        mounts: [
          { kind: "directory", source: own.path, target: "/etc/gpubox", readOnly: true },
          { kind: "directory", source: output.path, target: CERTIFICATES_DIR, readOnly: false },
          ...mounts,
        ],
        // A shell that waits in `sleep` takes no signal as the first process.
        init: true,
        memoryMiB: 256,
        health: health(...issued),
        readySeconds,
        stopGraceSeconds: 10,
      },
      // renew.sh reads its files each time; they are no reason for another container.
      hashOf(own.files["loop.sh"]),
    ),
  };
}
