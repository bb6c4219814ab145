import { engineOf, type ModelConfig } from ".";

/**
 * The paths of a model's server that its valve passes: those by which gateways and jobs ask it, and the entry's own `routes`.
 * What ends in `/` opens everything below it. Engines guard only some of their routes with their key: one that scales the
 * server, puts it to sleep or answers a whole chat by another name is nobody's.
 */
export function routesOf(model: ModelConfig): string[] {
  const { protocols = [], routes, throughGateway } = engineOf(model);
  const native = protocols.flatMap(({ path, how }) => (how === "native" ? [path] : []));
  const own = "routes" in model ? model.routes : [];
  if (throughGateway?.(model) === false) return own;
  return [...new Set(["/v1/models", "/v1/models/", ...native, ...(routes?.(model) ?? []), ...own])];
}
