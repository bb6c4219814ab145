import { output } from "../../platform/process";
import { runBeside } from "./beside";
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
export async function startRecorder(project: TestProject, gateway: string): Promise<Recorder> {
  const image = await output("docker", ["inspect", "--format", "{{.Image}}", gateway]);
  const options = ["--publish", "127.0.0.1::8000"];
  const name = await runBeside(project, { role: "recorder", script: "support/recorder.py", image, options });
  const address = await output("docker", ["port", name, "8000/tcp"]);
  return {
    recorded: async () =>
      (await (await fetch(`http://${address}/recorded`)).json()) as Record<string, unknown>,
  };
}
