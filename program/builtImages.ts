import type { BoxPlan } from "../configs/kit/types";
import { servicesOf } from "../configs/plan/box";
import { dockerAt } from "../platform/docker/client";
import { UserError } from "../platform/process";

/** Timeout in milliseconds for an answer of the engine. */
const ANSWER_MS = 30_000;

/** Prefix of the images that recipes make. No registry has them. */
const BUILT = "gpubox/";

/**
 * Refuses a plan whose images have to be built first: the docker provider would try to pull names that no registry has.
 * Blocks the event loop while it waits for the engine, because no resource may be created before. The provider reports
 * an engine that does not answer.
 *
 * @throws UserError that names the images and the command which builds them
 */
export function requireBuiltImages(plan: BoxPlan): void {
  const all = [...servicesOf(plan), plan.gateway].map(({ container }) => container.image);
  const built = [...new Set(all)].filter((image) => image.startsWith(BUILT));
  if (built.length === 0) return;
  const args = ["image", "inspect", "--format", "{{.Id}}", ...built];
  const { stderr } = dockerAt(plan.docker).runSync(args, ANSWER_MS);
  const missing = built.filter((image) => stderr.includes(`No such image: ${image}`));
  if (missing.length === 0) return;
  throw new UserError(
    `The host lacks images that no registry has: ${missing.join(", ")}.`,
    `Run \`gpubox up --stack ${plan.stack}\` once: it builds them, or pulls the official ones where a registry answers.`,
  );
}
