import type { ContainerPlan, NetworkRole, StepPlan } from "../kit/containerPlan";
import { STEP_PROCESSES } from "../kit/processes";
import type { DirectoryPlan } from "../kit/text";
import { shellQuote } from "../kit/text";
import { planBackup } from "./backup";
import type { PlanContext } from "./context";

/**
 * What a new gateway image does to the database before its first container starts: a backup, then the migration by a
 * container of its own, which ends. Gateways of two versions share the schema until the old one is drained; LiteLLM adds
 * columns and tables only.
 */
export function planMigration(
  context: PlanContext,
  gateway: ContainerPlan,
  files: DirectoryPlan,
): StepPlan[] {
  const { url } = context.config.database;
  // An external database may be another one from now on.
  const triggers = [
    gateway.image,
    ...(url ? [context.secrets[url.secret]?.fingerprint ?? "", context.saltFingerprint] : []),
  ];
  const migrate = { name: "migrate", script: migrateScript(context, gateway, files), triggers };
  const backup = planBackup(context);
  // An external database is backed up where it runs.
  return backup ? [{ ...backup, triggers }, migrate] : [migrate];
}

/**
 * One that still runs is waited for: an `up` that was killed leaves it to its engine. Its words are shown only where it
 * fails, and never the database's URL. `gpubox.keep`: the next `up` must not take it for an orphan and stop it half-way.
 */
function migrateScript(context: PlanContext, gateway: ContainerPlan, files: DirectoryPlan): string {
  const name = `${context.prefix}-migration`;
  // The bundled database's network has no way out, and none is needed: the image brings its engines along.
  const network: NetworkRole = context.config.database.mode === "bundled" ? "data" : "edge";
  const words = [
    ...["--name", name, "--network", `${context.prefix}-${network}`, "--user", gateway.user],
    ...["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true"],
    ...["--memory", `${gateway.memoryMiB}m`, "--memory-swap", `${gateway.memoryMiB}m`],
    ...["--pids-limit", String(STEP_PROCESSES)],
    ...Object.entries(gateway.tmpfs).flatMap(([path, options]) => ["--tmpfs", `${path}:${options}`]),
    ...Object.entries({ "gpubox.stack": context.config.stack, "gpubox.keep": "migration" }).flatMap(
      ([label, value]) => ["--label", `${label}=${value}`],
    ),
    ...Object.entries(gateway.env)
      .filter(([variable]) => variable !== "DISABLE_SCHEMA_UPDATE")
      .flatMap(([variable, value]) => ["--env", `${variable}=${value}`]),
    ...["--volume", `${files.path}:/etc/gpubox:ro`, "--entrypoint", "sh"],
    ...[gateway.image, "/etc/gpubox/migrate.sh"],
  ];
  return `if docker inspect ${name} >/dev/null 2>&1; then docker wait ${name} >/dev/null; docker rm -f ${name} >/dev/null 2>&1; fi
if said=$(docker run --rm ${words.map(shellQuote).join(" ")} 2>&1); then
  printf '%s\\n' "$said" | grep '^note: '
  echo "the database has the schema of ${gateway.image}"
else
  echo "The migration of the database failed, so the new gateway does not start; one that served before goes on. Its last words:" >&2
  printf '%s\\n' "$said" | sed 's#://[^@ ]*@#://…@#g' | grep -v '[█╚]' | grep . | tail -n 15 | cut -c1-400 >&2
  exit 1
fi`;
}
