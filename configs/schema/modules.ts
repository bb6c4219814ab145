import { z } from "zod";

/** Path of a module's file. It stays below the stack file's folder, so that records and CI have it too. */
const modulePath = z
  .string()
  .regex(
    /^\.\/(?!\.)[\w.-]+(\/(?!\.)[\w.-]+)*\.py$/,
    "Write the path of a .py file, from the stack file's folder and below it, such as ./audit.py.",
  );

/** None of the names that gpubox's own modules beside it have. */
const moduleName = z
  .string()
  .regex(
    /^(?!(gpubox|guard|trajectory)_|(access|migrate|people|prove|records|sitecustomize|usercustomize)$)[A-Za-z_][A-Za-z0-9_]{0,63}$/,
    "A module's name is letters, digits and _. gpubox keeps gpubox_…, guard_…, trajectory_…, access, migrate, people, prove, records, sitecustomize and usercustomize for itself.",
  );

/** Python modules of the user's, which the gateways import. */
export const modulesSchema = z
  .record(moduleName, modulePath)
  .default({})
  .describe(
    "Python files of your own that callbacks and guardrails name: audit: ./audit.py. They run in the gateways, with every key in their reach.",
  );
