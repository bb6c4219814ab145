import { join } from "node:path";
import { output } from "../../platform/process";
import type { TestProject } from "./project";

/** A model server on a box's network that keeps what it was asked, see recorder.py. */
export interface Recorder {
  /** JSON body of the last request. */
  recorded(): Promise<Record<string, unknown>>;
}

/** Model entry of the recorder, good before it runs: `up` does not ask it. */
export function recorderModel(stack: string): Record<string, unknown> {
  return { engine: "openai", baseUrl: `http://gpubox-${stack}-recorder:8000/v1`, start: "manual" };
}

/** Starts it beside a box that is up, in the gateway's image because that has Python. `removeProject` removes it. */
export async function startRecorder({ stack, dir }: TestProject, gateway: string): Promise<Recorder> {
  const image = await output("docker", ["inspect", "--format", "{{.Image}}", gateway]);
  const name = `gpubox-${stack}-recorder`;
  await output("docker", [
    ...[
      "run",
      "--detach",
      "--name",
      name,
      "--network",
      `gpubox-${stack}-edge`,
      "--publish",
      "127.0.0.1::8000",
    ],
    // By the first label the test's cleaning up finds it; by the last one, `gpubox up` leaves it alone.
    ...["--label", `gpubox.stack=${stack}`, "--label", "gpubox.role=recorder", "--label", "gpubox.keep=test"],
    ...["--user", "65534:65534", "--entrypoint", "python3"],
    ...["--volume", `${join(dir, "test", "support", "recorder.py")}:/recorder.py:ro`, image, "/recorder.py"],
  ]);
  const address = await output("docker", ["port", name, "8000/tcp"]);
  return {
    recorded: async () =>
      (await (await fetch(`http://${address}/recorded`)).json()) as Record<string, unknown>,
  };
}
