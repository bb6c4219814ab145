import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { RunResult } from "../process";
import { type Cluster, clusterArguments } from "./kubectl";

/** A port of this machine that leads to a pod behind a Service. */
export interface Forward {
  /** On 127.0.0.1. */
  port: number;
  /** Ends it. */
  close(): void;
}

/** Seconds until one of the Service's pods has to run. */
const POD_SECONDS = 10;
/** Milliseconds until it has to stand: kubectl may ask for a login meanwhile. */
const OPEN_MS = 60_000;

const OPEN = /^Forwarding from 127\.0\.0\.1:(\d+) -> \d+$/;

/**
 * Opens a way to a Service's port, through the API server, with the person's rights. The port of this machine is one that is free.
 * kubectl may end it at any time, for example when the pod goes.
 *
 * @returns what kubectl said, where it could not open it: code 127 where there is no kubectl
 */
export function forward(cluster: Cluster, service: string, port: number): Promise<Forward | RunResult> {
  const args = [
    ...clusterArguments(cluster),
    ...["port-forward", "--address", "127.0.0.1", `--pod-running-timeout=${POD_SECONDS}s`],
    ...[`service/${service}`, `:${port}`],
  ];
  const child = spawn("kubectl", args, { env: process.env, stdio: ["ignore", "pipe", "pipe"] });
  const close = () => void child.kill();
  process.once("exit", close);
  const timer = setTimeout(() => child.kill("SIGKILL"), OPEN_MS);
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  return new Promise((resolve) => {
    const failed = (code: number) => {
      clearTimeout(timer);
      process.off("exit", close);
      resolve({ code, stdout: "", stderr });
    };
    child.on("error", () => failed(127));
    child.on("close", (code) => failed(code ?? 137));
    createInterface(child.stdout).on("line", (line) => {
      const here = OPEN.exec(line)?.[1];
      if (here === undefined) return;
      clearTimeout(timer);
      resolve({ port: Number(here), close });
    });
  });
}
