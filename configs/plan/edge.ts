import type { MountPlan, ServicePlan } from "../kit/containerPlan";
import type { FilePlan } from "../kit/text";
import { configFile, directory } from "../kit/text";
import { acceptedHosts } from "../network/endpoint";
import { adminPort, edgePorts } from "../stack/ports";
import { bodyLimits } from "./bodyLimits";
import { assetFiles, container, health, type PlanContext } from "./context";
import { edgeForeignNetworks } from "./foreignNetworks";
import { usesDatabase } from "./gateway";
import { CONFIG_DIR } from "./haproxy/common";
import { ADMIN_PORT, CLIENT_PORT, EDGE_ASSETS, edgeConfig } from "./haproxy/edge";
import { edgeKeys } from "./haproxy/edgeKeys";
import { ADMIN_TLS_PORT, CERTIFICATES_DIR, type EdgeTls, HTTP_PORT } from "./haproxy/tls";
import { passThroughRoutes } from "./passThrough";
import { edgeSilence } from "./silence";

/** uid and gid of `haproxy` in the official image; the recipe uses the same. */
export const HAPROXY = 99;

/**
 * Seconds that the edge gives running requests when it is itself replaced. No new request gets in meanwhile, because only one
 * container can own the port. So short requests finish, long streams are cut, and the interruption stays short.
 */
const EDGE_GRACE_SECONDS = 5;

/** Listener to its port inside the container. */
const CONTAINER_PORTS = {
  clients: CLIENT_PORT,
  admin: ADMIN_PORT,
  "admin-tls": ADMIN_TLS_PORT,
  plain: HTTP_PORT,
};

/** The HAProxy that owns the box's ports and sends traffic only to the proven gateway. */
export function planEdge(context: PlanContext): ServicePlan {
  const { config } = context;
  const { admin } = config.gateway;
  const files = directory(
    `${context.dataDir}/edge`,
    HAPROXY,
    {
      "haproxy.cfg": configFile(
        ...edgeConfig({
          hosts: acceptedHosts(config),
          auth: config.gateway.auth,
          keys: usesDatabase(context) ? "virtual" : "master",
          modes: Object.values(config.models).map(({ mode }) => mode),
          silence: edgeSilence(config),
          ownRoutes: passThroughRoutes(config),
          maxParallel: config.gateway.limits.maxParallel,
          bodies: bodyLimits(context),
          adminEndpoint: `http://127.0.0.1:${adminPort(config)}`,
          metrics: config.observability.mode === "bundled",
          tls: edgeTls(config),
          adminTls: admin !== undefined && !admin.unencrypted,
          adminHosts: admin ? [admin.bind, ...admin.hosts] : [],
        }),
      ),
      "keys.map": configFile(
        ...edgeKeys({ previousMasterKey: context.secrets.previousMasterKey !== undefined }),
      ),
      ...secretCertificate(config),
      ...assetFiles(context, EDGE_ASSETS),
    },
    context.secrets,
  );
  const state = { path: `${context.dataDir}/edge-state`, uid: HAPROXY, gid: HAPROXY };
  return {
    directory: files,
    writable: [state],
    reloads: true,
    container: container(
      context,
      {
        name: "edge",
        role: "edge",
        entrypoint: ["bash"],
        command: ["/etc/gpubox/entrypoint.sh"],
        user: `${HAPROXY}:${HAPROXY}`,
        networks: { edge: ["edge"], ...edgeForeignNetworks(config) },
        mounts: [
          { kind: "directory", source: files.path, target: "/etc/gpubox", readOnly: true },
          { kind: "directory", source: state.path, target: "/var/lib/gpubox", readOnly: false },
          ...certificatesMount(context),
        ],
        ports: edgePorts(config).map(({ bind, port, listener }) => ({
          bind,
          port,
          containerPort: CONTAINER_PORTS[listener],
        })),
        memoryMiB: 512,
        health: health("CMD", "bash", "/etc/gpubox/health.sh"),
        readySeconds: 60,
        stopSignal: "SIGUSR1",
        stopGraceSeconds: EDGE_GRACE_SECONDS,
      },
      // The files are reloaded and are no reason for another container.
      "",
    ),
  };
}

/** Where the certificate directory lies on the host. */
export function certificatesPath(dataDir: string): string {
  return `${dataDir}/certificates`;
}

/** How the edge gets its certificate; undefined without TLS. */
function edgeTls({ gateway }: PlanContext["config"]): EdgeTls | undefined {
  if (!gateway.tls) return undefined;
  if (gateway.tls.acme)
    return { certificate: CERTIFICATES_DIR, strictSni: true, challenges: { httpsPort: gateway.port } };
  if (typeof gateway.tls.certificate === "string") return { certificate: `${CERTIFICATES_DIR}/tls.pem` };
  return { certificate: `${CONFIG_DIR}/tls.pem` };
}

/** The certificate and its key as one file of the edge's own directory, where both are secrets. */
function secretCertificate({ gateway }: PlanContext["config"]): Record<string, FilePlan> {
  const { certificate, key } = gateway.tls ?? {};
  if (typeof certificate !== "object" || typeof key !== "object") return {};
  const pem = (secret: string) => ({ secret, as: "raw" }) as const;
  return { "tls.pem": configFile(pem(certificate.secret), "\n", pem(key.secret), "\n") };
}

/** Where the certificate comes from another container. */
function certificatesMount({ config, dataDir }: PlanContext): MountPlan[] {
  if (!edgeTls(config)?.certificate.startsWith(CERTIFICATES_DIR)) return [];
  const source = certificatesPath(dataDir);
  return [{ kind: "directory", source, target: CERTIFICATES_DIR, readOnly: true }];
}
