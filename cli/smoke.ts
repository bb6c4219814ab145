import { endpointOf } from "../configs/network/endpoint";
import { clusterEndpoint } from "../configs/plan/kubernetes/target";
import { throughEdge } from "../operations/kubernetes/through";
import { requirePassed } from "../operations/smoke/smoke";
import { smokeChecks } from "../operations/smoke/stack";
import { openStack } from "../platform/stack/openStack";
import { hostCommand, printing } from "./command";
import { jsonWanted, say } from "./output";

export const definition = hostCommand("smoke")
  .description("Run the final checks of `up` on a running box. Exit code 1 when a check fails.")
  .action(
    printing(async ({ stack }) => {
      const { config, plan, secrets } = await openStack(stack);
      const endpoint = plan.cluster ? clusterEndpoint(plan) : endpointOf(config);
      say(`smoke of ${endpoint}`);
      const checks = plan.cluster
        ? await throughEdge(plan, config, (ways) => smokeChecks(config, secrets, say, ways))
        : await smokeChecks(config, secrets, say);
      if (!jsonWanted()) requirePassed(checks);
      const ok = checks.every((check) => check.ok);
      if (!ok) process.exitCode = 1;
      return { endpoint, ok, checks };
    }),
  );
