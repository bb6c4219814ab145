import { mkdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { connectionFolder } from "../../configs/network/engine";

/**
 * Stands in for an unreachable host's engine during a preview: the docker provider needs an answer to its greeting
 * before it compares resources with the state. It knows no container, and every other request fails.
 */
export function standInForEngine(projectDir: string, stack: string): void {
  process.chdir(projectDir);
  const folder = connectionFolder(stack);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const socket = join(folder, "docker.sock");
  rmSync(socket, { force: true });
  const server = createServer(({ url }, answer) => {
    const greeting = url?.endsWith("/_ping") === true;
    answer.writeHead(greeting ? 200 : 503, { "api-version": "1.41", "content-type": "application/json" });
    answer.end(greeting ? "OK" : JSON.stringify({ message: "This is a preview without the host." }));
  });
  server.listen(socket).unref();
}
