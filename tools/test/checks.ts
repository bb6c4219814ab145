import { say } from "../../cli/output";
import { run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import type { Check } from "./report";

/** Scripts of package.json that judge the sources without running them. */
const SCRIPTS = ["lint", "typecheck"];

/** Runs them all at once; what one finds is told when it ends. */
export function sourceChecks(): Promise<Check[]> {
  return Promise.all(
    SCRIPTS.map(async (name) => {
      const { code, stdout, stderr } = await run("npm", ["run", "--silent", name], { cwd: packageDir });
      if (code !== 0) say(`\nnpm run ${name}\n${stdout}${stderr}`);
      return { name: `npm run ${name}`, passed: code === 0 };
    }),
  );
}
