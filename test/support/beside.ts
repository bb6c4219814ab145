import { join } from "node:path";
import { output } from "../../platform/process";
import { recipeReference } from "../../platform/stack/recipes";
import type { TestProject } from "./project";

/** A Python script of the tests that runs beside a box. */
export interface Beside {
  /** Its container is `gpubox-<stack>-<role>`. */
  role: string;
  /** Path below `test/`. */
  script: string;
  /** An image with Python. Default: the gateway's recipe. */
  image?: string;
  /** More options of `docker run`. */
  options?: string[];
  /** Arguments of the script. */
  args?: string[];
}

/**
 * Starts it on the network where a box's gateway finds it. `removeProject` removes it.
 *
 * @returns the container's name
 */
export async function runBeside({ stack, dir }: TestProject, beside: Beside): Promise<string> {
  const { role, script, image = recipeReference(dir, "gateway"), options = [], args = [] } = beside;
  const name = `gpubox-${stack}-${role}`;
  await output("docker", [
    ...["run", "--detach", "--name", name, "--network", `gpubox-${stack}-edge`, ...options],
    // By the first label the test's cleaning up finds it; by the last one, `gpubox up` leaves it alone.
    ...["--label", `gpubox.stack=${stack}`, "--label", `gpubox.role=${role}`, "--label", "gpubox.keep=test"],
    ...["--user", "65534:65534", "--entrypoint", "python3"],
    ...["--volume", `${join(dir, "test", script)}:/script.py:ro`, image, "/script.py", ...args],
  ]);
  return name;
}
