import { spawn } from "node:child_process";
import { output } from "../../platform/process";
import { until } from "./wait";

const PORT = 65111;
const SERVER = `
import socketserver
class Garbage(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(65536)
        self.request.sendall(b"\\x00\\x15\\xff garbage\\r\\n" * 8)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
Server(("0.0.0.0", ${PORT}), Garbage).serve_forever()
`;

/**
 * Answers every new connection to a container with garbage, also those of its own health check. It lasts as long as the container's
 * network does, which Docker makes anew at a restart; what this starts ends with the process that calls it.
 */
export async function answerGarbage(container: string): Promise<void> {
  const pid = await output("docker", ["inspect", "--format", "{{.State.Pid}}", container]);
  const network = ["--target", pid.trim(), "--net"];
  const server = spawn("setpriv", [
    ...["--pdeathsig", "KILL", "nsenter", ...network, "python3", "-c", SERVER],
  ]);
  server.unref();
  const inside = (...words: string[]) => output("nsenter", [...network, ...words]);
  await until("the garbage is there", async () => (await inside("ss", "-ltn")).includes(`:${PORT}`));
  for (const [chain, ...which] of [["PREROUTING"], ["OUTPUT", "--out-interface", "lo"]])
    await inside(
      ...["iptables", "-t", "nat", "-A", chain!, "-p", "tcp", ...which],
      ...["-j", "REDIRECT", "--to-ports", `${PORT}`],
    );
}
