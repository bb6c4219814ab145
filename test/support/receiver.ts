import { z } from "zod";
import { output } from "../../platform/process";
import { runBeside } from "./beside";
import type { TestProject } from "./project";

/** A server on a box's networks that keeps what is sent to it, see receiver.py. */
export interface Receiver {
  received(): Promise<{ path: string; authorization: string | null; text: string }[]>;
}

const kept = z.array(z.object({ path: z.string(), authorization: z.string().nullable(), body: z.string() }));

export function receiverName(stack: string): string {
  return `gpubox-${stack}-receiver`;
}

/** Starts it in the gateway's image, because that has Python. `removeProject` removes it. */
export async function startReceiver(project: TestProject, gateway: string): Promise<Receiver> {
  const image = await output("docker", ["inspect", "--format", "{{.Image}}", gateway]);
  const options = ["--publish", "127.0.0.1::8000"];
  const name = await runBeside(project, { role: "receiver", script: "support/receiver.py", image, options });
  return {
    received: async () => {
      // Asked each time: it is another one once the container has joined another network.
      const address = await output("docker", ["port", name, "8000/tcp"]);
      const answer = await fetch(`http://${address}/received`);
      return kept
        .parse(await answer.json())
        .map(({ body, ...about }) => ({ ...about, text: Buffer.from(body, "base64").toString() }));
    },
  };
}
