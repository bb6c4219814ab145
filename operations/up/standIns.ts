import { OPEN, RELIEVE, standInSteps } from "../../configs/kit/steps";
import type { BoxPlan } from "../../configs/kit/types";
import { STAND_IN_LABEL, standInOf } from "../../configs/plan/beside";
import { valveName } from "../../configs/plan/valve";
import { dockerAt } from "../../platform/docker/client";
import { UserError } from "../../platform/process";
import type { Log } from "../../platform/project";

/** Where the server is healthy and as planned, no step of this `up` touches it, and nothing else would end its stand-in. */
const HAND_BACK = `case $(docker inspect --format '{{.State.Health.Status}} {{index .Config.Labels "gpubox.spec"}}' "$GPUBOX_CONTAINER" 2>/dev/null) in
"healthy $GPUBOX_SPEC") ;;
*) exit 0 ;;
esac
${RELIEVE}`;

/** Its entry is replaced stop-first now, or is gone. */
const REMOVE = [
  OPEN,
  '[ -z "$GPUBOX_VALVES" ] || docker exec "$GPUBOX_VALVES" bash /etc/gpubox/drain.sh --next 60 >/dev/null 2>&1',
  'docker rm -f "$GPUBOX_NEXT" >/dev/null',
].join("\n");

/**
 * Ends the stand-ins that an interrupted `up` left: their servers get the requests back. One whose server still waits for its
 * replacement serves on until then.
 *
 * @throws UserError where a server does not get its requests back
 */
export async function endStandIns(plan: BoxPlan, log: Log): Promise<void> {
  const docker = dockerAt(plan.docker);
  const left = await docker.containers({ all: true, labels: [`gpubox.stack=${plan.stack}`, STAND_IN_LABEL] });
  for (const { Name } of left) {
    const backend = plan.backends.find(
      ({ service }) => `${plan.prefix}-${standInOf(service.container.name)}` === Name,
    );
    const valves = backend ? `${plan.prefix}-${valveName(backend.instance)}` : "";
    const env = backend?.service.standIn
      ? {
          ...standInSteps(plan.prefix, backend.service).environment,
          GPUBOX_SPEC: backend.service.container.labels["gpubox.spec"]!,
        }
      : { GPUBOX_NEXT: Name, GPUBOX_VALVES: valves };
    const { code, stderr } = await docker.script(backend?.service.standIn ? HAND_BACK : REMOVE, { env });
    if (code !== 0)
      throw new UserError(
        `${Name}, which stands in for a model server, could not hand its requests back: ${stderr.trim()}`,
        "Run `gpubox doctor`, then `gpubox up` again. It serves meanwhile.",
      );
    log(`  looked after ${Name}, which an earlier \`up\` left`);
  }
}
