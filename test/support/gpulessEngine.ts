import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { z } from "zod";
import { scratch } from "./allocate";

const SOCKET = "/var/run/docker.sock";

const creation = z.looseObject({
  HostConfig: z.looseObject({
    DeviceRequests: z.array(z.looseObject({ DeviceIDs: z.array(z.string()).nullish() })).nullish(),
  }),
});

/**
 * This machine's Docker engine, at a socket of its own where containers may ask for NVIDIA's GPUs: they are created without, and
 * what they asked for is kept. Everything else goes through as it is.
 */
export class GpulessEngine {
  /** Ids of the GPUs that containers asked for, by the container's name. */
  readonly asked: Record<string, string[]> = {};
  private readonly socket = join(scratch("engine"), "docker.sock");
  private readonly server: Server = createServer((asked, answer) => void this.pass(asked, answer));

  /** For `host.docker`. */
  get address(): string {
    return `unix://${this.socket}`;
  }

  async start(): Promise<void> {
    Object.assign(this.server, { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 });
    // What is attached to a container speaks no HTTP after its first lines.
    this.server.on("upgrade", (asked: IncomingMessage, client, head) => {
      const fields = asked.rawHeaders.flatMap((name, index, all) =>
        index % 2 === 0 ? [`${name}: ${all[index + 1]}`] : [],
      );
      const engine = connect(SOCKET, () => {
        engine.write([`${asked.method} ${asked.url} HTTP/1.1`, ...fields, "", ""].join("\r\n"));
        engine.write(head);
        client.pipe(engine).pipe(client);
      });
      for (const [one, other] of [
        [engine, client],
        [client, engine],
      ] as const)
        one.on("error", () => other.destroy()).on("close", () => other.destroy());
    });
    await new Promise<void>((resolve) => this.server.listen(this.socket, resolve));
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async pass(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const url = new URL(asked.url!, "http://engine");
    const own = url.pathname.endsWith("/containers/create") ? await this.withoutGpus(asked, url) : undefined;
    const headers = own ? { ...asked.headers, "content-length": String(own.length) } : asked.headers;
    const engine = request({ socketPath: SOCKET, path: asked.url, method: asked.method, headers }, (said) => {
      answer.writeHead(said.statusCode!, said.headers);
      answer.flushHeaders();
      said.pipe(answer);
    });
    engine.on("error", () => answer.destroy());
    answer.on("close", () => engine.destroy());
    if (own) engine.end(own);
    else asked.pipe(engine);
  }

  private async withoutGpus(asked: IncomingMessage, url: URL): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of asked) chunks.push(chunk as Buffer);
    const body = creation.parse(JSON.parse(Buffer.concat(chunks).toString()));
    const ids = (body.HostConfig.DeviceRequests ?? []).flatMap(({ DeviceIDs }) => DeviceIDs ?? []);
    if (ids.length > 0) this.asked[url.searchParams.get("name") ?? ""] = ids;
    return Buffer.from(JSON.stringify({ ...body, HostConfig: { ...body.HostConfig, DeviceRequests: null } }));
  }
}
