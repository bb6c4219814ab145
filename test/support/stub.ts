import { output } from "../../platform/process";
import { runBeside } from "./beside";
import type { TestProject } from "./project";
import { until } from "./wait";

/** What a server of stub.py was asked. */
export interface Seen {
  requests: number;
  /** Requests at the same time, at most. */
  most: number;
  paths: string[];
  /** What each request called the model. */
  models: string[];
  /** JSON body of the last request. */
  last: Record<string, unknown>;
  /** Its header fields, in lower case. */
  headers: Record<string, string>;
}

/** The model servers of stub.py on a box's network. */
export interface Stub {
  /** By server; a server that was not asked is not in it. */
  seen(): Promise<Record<string, Seen>>;
  forget(): Promise<void>;
}

/** Model entry of a stub's server, good before it runs: `up` does not ask it. */
export function stubModel(
  stack: string,
  server: string,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return { engine: "openai", baseUrl: stubUrl(stack, server), start: "manual", ...more };
}

export function stubUrl(stack: string, server: string): string {
  return `http://gpubox-${stack}-stub:8000/${server}/v1`;
}

/** Starts it beside a box that is up, in the gateway's image because that has Python. `removeProject` removes it. */
export async function startStub(project: TestProject, gateway: string): Promise<Stub> {
  const image = await output("docker", ["inspect", "--format", "{{.Image}}", gateway]);
  const options = ["--publish", "127.0.0.1::8000"];
  const name = await runBeside(project, { role: "stub", script: "support/stub.py", image, options });
  const url = `http://${await output("docker", ["port", name, "8000/tcp"])}`;
  const asked = () => fetch(url, { signal: AbortSignal.timeout(5_000) });
  await until(`${name} answers`, () =>
    asked().then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  return {
    seen: async () => (await (await fetch(url)).json()) as Record<string, Seen>,
    forget: async () => void (await fetch(url, { method: "DELETE" })),
  };
}
