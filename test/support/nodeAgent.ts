import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { ApiServer } from "./apiServer";
import { makeCertificate } from "./certificates";
import { PodAgent, paramsOf } from "./podAgent";

/** The agent of a node of a real API server: where that asks for logs, ports and commands. Pods have what a test says they have. */
export class NodeAgent {
  readonly pods = new PodAgent();
  private readonly server: Server;

  constructor() {
    const { certificate, key } = makeCertificate({ names: ["127.0.0.1"] });
    this.server = createServer({ cert: certificate, key }, (request, response) => {
      const { what, pod, container } = asked(request);
      if (what === "containerLogs") return this.pods.log(pod, container, paramsOf(request), response);
      response.writeHead(404).end();
    });
    this.server.on("upgrade", (request, socket) => {
      const { what, pod } = asked(request);
      if (what === "portForward") return this.pods.forward(pod, request, socket);
      if (what === "exec") return this.pods.exec(pod, paramsOf(request).getAll("command"), request, socket);
      socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
  }

  /** Listens, and makes the node that is reached here. */
  async start(server: ApiServer, node: string, allocatable: Record<string, string> = {}): Promise<void> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    const { port: Port } = this.server.address() as AddressInfo;
    await server.apply("default", [{ apiVersion: "v1", kind: "Node", metadata: { name: node } }], "test");
    const has = { cpu: "32", memory: "256Gi", pods: "50", ...allocatable };
    await server.status("default", "node", node, {
      addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
      daemonEndpoints: { kubeletEndpoint: { Port } },
      ...{ capacity: has, allocatable: has },
      conditions: [{ type: "Ready", status: "True", reason: "Test", message: "" }],
    });
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** `/containerLogs/NAMESPACE/POD/CONTAINER` and the like. */
function asked({ url }: IncomingMessage): { what: string; pod: string; container: string } {
  const [, what = "", , pod = "", container = ""] = new URL(url!, "https://agent").pathname.split("/");
  return { what, pod, container };
}
