import { createServer, type Server, type ServerResponse } from "node:http";
import { pause } from "./wait";

/** A model server on this machine whose streams take eight seconds. */
export class SlowServer {
  static readonly TOKENS = 40;
  private readonly server: Server;

  constructor(address: string, port: number) {
    this.server = createServer(async (request, response) => {
      request.resume();
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (let index = 0; index < SlowServer.TOKENS; index++) {
        chunk(response, { role: "assistant", content: `t${index} ` }, null);
        await pause(200, "a stream that lasts is the subject");
      }
      chunk(response, {}, "stop");
      response.end("data: [DONE]\n\n");
    }).listen(port, address);
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}

function chunk(response: ServerResponse, delta: object, reason: string | null): void {
  const choices = [{ index: 0, delta, finish_reason: reason }];
  const data = { id: "slow", object: "chat.completion.chunk", created: 0, model: "slow", choices };
  response.write(`data: ${JSON.stringify(data)}\n\n`);
}
