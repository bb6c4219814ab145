import type { BoxPlan } from "../../configs/kit/types";
import type { GatewayStatus } from "../../platform/box/edge";
import { fixFor, problemOf } from "./containerHealth";
import type { ContainerFacts, Facts } from "./facts";
import type { Finding, Row } from "./row";

/** A gateway that should answer requests, with its container and the edge's view of it. */
interface Expected {
  name: string;
  container?: ContainerFacts;
  slot?: GatewayStatus;
}

/**
 * The gateways that should answer: those that the edge sends requests to or that still have some. Where the edge does not
 * answer, those of the planned generation, or else all of them.
 */
function expectedGateways(box: BoxPlan, facts: Facts): Expected[] {
  const containers = (facts.containers ?? []).filter(({ role }) => role === "gateway");
  const slots = (facts.edge?.gateways ?? []).filter(
    ({ state, requests }) => state !== "draining" || requests > 0,
  );
  if (slots.length > 0)
    return slots.map((slot) => ({
      name: slot.gateway,
      slot,
      container: containers.find(({ name }) => name === slot.gateway),
    }));
  const planned = containers.filter(({ generation }) => generation === box.gateway.generation);
  return (planned.length > 0 ? planned : containers).map((container) => ({
    name: container.name,
    container,
  }));
}

/** What is wrong with a gateway, as the end of a sentence. */
function trouble({ container, slot }: Expected): string | undefined {
  const problem = problemOf(container);
  if (problem) return problem;
  if (container?.health === "starting") return "is starting";
  // The edge notices within a second when a gateway comes back.
  return slot?.state === "down" && container?.probe !== undefined
    ? "answers in its own container, and the edge does not reach it"
    : undefined;
}

function fix(box: BoxPlan, { name, container, slot }: Expected): string {
  if (problemOf(container)) return fixFor(box, container, "gateway");
  if (container?.health === "starting") return "Wait; LiteLLM takes 7 to 15 s.";
  const network = `${box.prefix}-edge`;
  return slot
    ? `Run \`docker network connect ${network} ${name}\`, or \`docker restart -t 10 ${name}\`.`
    : "";
}

function gatewayFindings(box: BoxPlan, facts: Facts): Finding[] | undefined {
  if (!facts.containers?.length) return facts.containers && [];
  const expected = expectedGateways(box, facts);
  if (expected.length === 0)
    return [{ what: "The gateway is not there.", fix: fixFor(box, undefined, "gateway") }];
  const serving = expected.filter((one) => !trouble(one) && one.slot?.state !== "draining").length;
  return expected.flatMap((one) => {
    const what = trouble(one);
    if (!what) return [];
    const sentence =
      expected.length === 1
        ? `The gateway ${what}`
        : `The gateway ${one.name} ${what}; ${serving} of ${expected.length} serve`;
    return [{ what: `${sentence}.`, fix: fix(box, one) }];
  });
}

export const gatewayRow: Row = {
  id: "gateway",
  symptom: "requests hang, all or some; after a minute 503 `No gateway`",
  cause: "a gateway, or one of its replicas, stopped, is paused, or does not answer",
  check: gatewayFindings,
};
