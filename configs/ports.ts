import { adminPort } from "./checks";
import type { StackConfig } from "./schema/stack";

/** A port of the host that the edge publishes. */
export interface EdgePort {
  /** Host address. */
  bind: string;
  port: number;
  /** The key that sets it, for example `gpubox:gateway.port`. */
  key: string;
  listener: "clients" | "admin" | "admin-tls" | "plain";
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
