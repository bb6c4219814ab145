import { readFileSync } from "node:fs";
import { join } from "node:path";
import { output } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import contract from "../contract/litellm/admin.json";
import { needs } from "../support/needs";

const MINUTE = 60_000;

/** `test/e2e/access.test.ts` makes the calls, on a real database. */
needs("docker")("the real LiteLLM", () => {
  const image = recipeReference(packageDir, "gateway");
  const env = ["--env", "HOME=/tmp", "--env", "LITELLM_LOCAL_MODEL_COST_MAP=True"];

  test(
    "has the admin routes and fields that the committed contract says",
    async () => {
      const script = readFileSync(join(packageDir, "test/contract/litellm/admin.py"), "utf8");
      const args = ["run", "--rm", "-i", "--network", "none", ...env, "--entrypoint", "python3", image, "-"];
      expect(JSON.parse(await output("docker", args, { stdin: script }))).toEqual(contract);
    },
    2 * MINUTE,
  );
});
