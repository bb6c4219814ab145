import { join } from "node:path";
import { output, run } from "../../platform/process";
import { until } from "./wait";

/** A hub in a container, which other containers reach too. What it has and how it behaves: hub.py. */
export interface HubContainer {
  endpoint: string;
  /** What was asked of one repository: path, Range and Authorization, a line each. */
  requests(repo: string): Promise<string[]>;
  /** Lets go what it holds back. */
  release(): Promise<void>;
  remove(): Promise<void>;
}

/**
 * @param image any with python3
 * @param content path of the file that every file of the hub is
 */
export async function startHubContainer(image: string, content?: string): Promise<HubContainer> {
  const id = await output("docker", [
    ...["run", "--detach", "--volume", `${join(__dirname, "hub.py")}:/hub.py:ro`],
    ...(content ? ["--volume", `${content}:/content:ro`] : []),
    ...["--entrypoint", "python3", image, "/hub.py", ...(content ? ["/content"] : [])],
  ]);
  const address = await output("docker", ["inspect", "--format", "{{.NetworkSettings.IPAddress}}", id]);
  const endpoint = `http://${address}:8000`;
  const ask = async (path: string) => (await fetch(`${endpoint}${path}`)).text();
  const remove = async () => {
    await run("docker", ["rm", "--force", id]);
  };
  const answers = () =>
    ask("/requests").then(
      () => true,
      () => false,
    );
  await until("the hub answers", answers).catch(async (error) => {
    await remove();
    throw error;
  });
  return {
    endpoint,
    requests: async (repo) =>
      (await ask("/requests")).split("\n").filter((line) => line.includes(`/${repo}/`)),
    release: async () => void (await ask("/release")),
    remove,
  };
}
