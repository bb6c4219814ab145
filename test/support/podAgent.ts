import { spawn } from "node:child_process";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { acceptSpdy, type SpdyStream } from "./spdy";

/** What runs in the pods that a {@link PodAgent} has, as a test says it. */
export interface PodLife {
  /** Where a pod's own port is: a port of this machine, or of an address. Default: nobody listens. */
  port?: (pod: string, port: number) => number | { host: string; port: number } | undefined;
  /** The lines of a pod's log, each with its time; undefined where its node does not answer. Default: none. */
  log?: (pod: string, container: string, query: URLSearchParams) => string[] | undefined;
  /** The program of this machine that does what a command does in a pod. Default: it fails. */
  command?: (pod: string, words: string[]) => string[];
}

/** Streams of a command as kubectl asks an API server for them, and that one an agent. */
const ASKED = { stdin: "input", stdout: "output", stderr: "error" };

/** The agent of a node, as far as `kubectl port-forward`, `logs` and `exec` ask it: a test plays the pods. */
export class PodAgent {
  /** `pod: command` of each exec. */
  readonly commands: string[] = [];
  life: PodLife = {};

  /** Answers a request for a log. */
  log(pod: string, container: string, query: URLSearchParams, response: ServerResponse): void {
    const lines = this.life.log ? this.life.log(pod, container, query) : [];
    if (!lines) {
      const message = 'Get "https://n1:10250": dial tcp: connection refused';
      const status = { kind: "Status", apiVersion: "v1", status: "Failure", code: 500, message };
      response.writeHead(500, { "content-type": "application/json" });
      return void response.end(JSON.stringify({ ...status, reason: "InternalError" }));
    }
    response.writeHead(200, { "content-type": "text/plain" });
    response.end(lines.map((line) => `${line}\n`).join(""));
  }

  /** Forwards ports: of each connection a stream for errors, and one for what is said. */
  forward(pod: string, request: IncomingMessage, socket: Duplex): void {
    const errors = new Map<string, Duplex>();
    acceptSpdy(request, socket, ["portforward.k8s.io"], ({ headers, stream }) => {
      if (headers.streamtype === "error") return void errors.set(headers.requestid!, stream);
      const failed = errors.get(headers.requestid!)!;
      const at = this.life.port?.(pod, Number(headers.port));
      if (at === undefined) {
        failed.end(`connect: connection refused to port ${headers.port}`);
        return void stream.end();
      }
      const there = connect(typeof at === "number" ? { host: "127.0.0.1", port: at } : at);
      stream.pipe(there).pipe(stream);
      there.on("error", () => stream.destroy());
      stream.on("close", () => there.destroy());
      there.on("close", () => failed.end());
    });
  }

  /** Runs a command. */
  exec(pod: string, words: string[], request: IncomingMessage, socket: Duplex): void {
    const streams: Record<string, Duplex> = {};
    const query = paramsOf(request);
    const asked = Object.entries(ASKED).filter(([own, agents]) => query.get(own) || query.get(agents));
    const wanted = ["error", ...asked.map(([own]) => own)];
    const protocols = ["v4.channel.k8s.io", "v5.channel.k8s.io"];
    acceptSpdy(request, socket, protocols, ({ headers, stream }: SpdyStream) => {
      streams[headers.streamtype!] = stream;
      if (wanted.every((one) => streams[one])) this.start(pod, words, streams);
    });
  }

  private start(pod: string, words: string[], streams: Record<string, Duplex>): void {
    this.commands.push(`${pod}: ${words.join(" ")}`);
    const [program, ...args] = this.life.command?.(pod, words) ?? ["false"];
    const child = spawn(program!, args, { stdio: "pipe" });
    child.stdin.on("error", () => {});
    if (streams.stdin) streams.stdin.pipe(child.stdin);
    else child.stdin.end();
    for (const name of ["stdout", "stderr"] as const) if (streams[name]) child[name].pipe(streams[name]);
    child.on("close", (code) => {
      const causes = [{ reason: "ExitCode", message: String(code) }];
      const failure = {
        status: "Failure",
        reason: "NonZeroExitCode",
        message: `exit code ${code}`,
        details: { causes },
      };
      streams.error!.end(JSON.stringify(code === 0 ? { status: "Success" } : failure));
      for (const name of ["stdout", "stderr"]) streams[name]?.end();
    });
  }
}

/** The query of a request. */
export function paramsOf({ url }: IncomingMessage): URLSearchParams {
  return new URL(url!, "http://agent").searchParams;
}
