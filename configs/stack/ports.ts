import { bracketed } from "../network/addresses";
import type { StackConfig } from "./config";
import { instancesOf } from "./instances";

/** A port of the host that a box publishes. */
export interface PublishedPort {
  /** Host address. */
  bind: string;
  port: number;
  /** The key that sets it, for example `gpubox:gateway.port`. */
  key: string;
}

/** A port that the edge publishes. */
export interface EdgePort extends PublishedPort {
  listener: "clients" | "admin" | "admin-tls" | "plain";
}

/** Default of `gateway.adminPort`: the next one. */
export function adminPort({ gateway }: Pick<StackConfig, "gateway">): number {
  return gateway.adminPort ?? gateway.port + 1;
}

/** Base URL of the admin port for people's browsers: what single sign-on says, the address that it is opened on, or loopback. */
export function adminUrl(config: Pick<StackConfig, "access" | "gateway">): string {
  const { access, gateway } = config;
  const { admin, hosts } = gateway;
  if (access.sso) return access.sso.url;
  if (!admin) return `http://127.0.0.1:${adminPort(config)}`;
  const host = admin.hosts[0] ?? hosts[0] ?? bracketed(admin.bind);
  return `${admin.unencrypted ? "http" : "https"}://${host}:${adminPort(config)}`;
}

/** Every port that a box publishes on its host. */
export function publishedPorts(config: StackConfig): PublishedPort[] {
  return [...edgePorts(config), ...observabilityPorts(config), ...modelPorts(config)];
}

/** Every port that the edge publishes. */
export function edgePorts(config: StackConfig): EdgePort[] {
  const { admin, bind, port, tls } = config.gateway;
  const ports: EdgePort[] = [
    { bind, port, key: "gpubox:gateway.port", listener: "clients" },
    { bind: "127.0.0.1", port: adminPort(config), key: "gpubox:gateway.adminPort", listener: "admin" },
  ];
  if (admin)
    ports.push({
      bind: admin.bind,
      port: adminPort(config),
      key: "gpubox:gateway.adminPort",
      listener: admin.unencrypted ? "admin" : "admin-tls",
    });
  if (tls?.acme)
    ports.push({ bind, port: tls.acme.port, key: "gpubox:gateway.tls.acme.port", listener: "plain" });
  return ports;
}

/** Ports of the observability services; none when they are off. Prometheus has no login, so it always binds to loopback. */
export function observabilityPorts({ observability }: StackConfig): PublishedPort[] {
  const { bind, mode, port, prometheusPort } = observability;
  if (mode === "none") return [];
  return [
    { bind, port, key: "gpubox:observability.port" },
    { bind: "127.0.0.1", port: prometheusPort, key: "gpubox:observability.prometheusPort" },
  ];
}

/** Ports on which models can be reached directly, without the gateway. */
export function modelPorts({ models }: Pick<StackConfig, "models">): PublishedPort[] {
  return Object.entries(models).flatMap(([name, entry]) =>
    instancesOf(name, entry).flatMap(({ path, model }) => {
      const expose = "expose" in model ? model.expose : undefined;
      if (!expose) return [];
      const { bind, port } = expose;
      return [{ bind, port, key: `gpubox:models.${name}${path}.expose.port` }];
    }),
  );
}
