import type { StackConfig } from "../stack/config";
import { secretVariable } from "./secretVariable";

/** The edge's routes for `gateway.passThrough`; what ends in `/` opens everything below it. */
export function passThroughRoutes({ gateway }: Pick<StackConfig, "gateway">): string[] {
  return Object.entries(gateway.passThrough).flatMap(([path, { subpaths }]) => [
    path,
    ...(subpaths ? [`${path}/`] : []),
  ]);
}

/** `pass_through_endpoints` of LiteLLM's general_settings; nothing where there is none. */
export function passThroughSettings({ gateway }: StackConfig): { pass_through_endpoints?: unknown[] } {
  const endpoints = Object.entries(gateway.passThrough).map(([path, route]) => ({
    path,
    target: route.target,
    auth: true,
    headers: {
      ...(route.apiKey ? { Authorization: `Bearer ${variable(route.apiKey)}` } : {}),
      ...Object.fromEntries(
        Object.entries(route.headers).map(([name, value]) => [
          name,
          typeof value === "string" ? value : variable(value),
        ]),
      ),
    },
    include_subpath: route.subpaths,
    methods: route.methods,
    timeout: route.timeoutSeconds,
    ...(route.costPerRequest === undefined ? {} : { cost_per_request: route.costPerRequest }),
  }));
  return endpoints.length > 0 ? { pass_through_endpoints: endpoints } : {};
}

function variable({ secret }: { secret: string }): string {
  return `os.environ/${secretVariable(secret)}`;
}
