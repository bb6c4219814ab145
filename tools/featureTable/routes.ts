import known from "../../configs/litellm/keys.json";
import { CLOSED_ROUTES, OPEN_ROUTES, type OpenRoute, spellings } from "../../configs/network/clientRoutes";
import { markdownTable } from "../markdown";

/** The routes of the clients' port: what is open for which models, and what is closed and why. */
export function routesMarkdown(): string {
  const open = Object.entries(OPEN_ROUTES).map(([path, route]: [string, OpenRoute]) => [
    spellings(path, route).map(shown).join(", "),
    route.modes ? route.modes.map((mode) => `with \`mode: ${mode}\``).join(", ") : "always",
    route.streams ? "yes" : "no",
    route.becomes,
  ]);
  const closed = CLOSED_ROUTES.map(({ roots, why, instead }) => [
    roots.map((root) => `\`/v1/${root}\``).join(", "),
    why,
    instead,
  ]);
  return [
    "## Routes of the clients' port",
    "",
    "The edge opens these routes. [A test](../test/e2e/modalities.test.ts) asks each of them through edge, valve and",
    `LiteLLM ${known.version} before a recording server, whole and as a stream, and compares what arrived there with what was sent.`,
    "",
    markdownTable(["route", "open", "stream", "what a gateway asks"], open),
    "",
    "These are closed, whatever the models. A client is answered 404 with the reason and the way round:",
    "",
    markdownTable(["route", "why", "instead"], closed),
    "",
  ].join("\n");
}

function shown(path: string): string {
  return `\`${path.endsWith("/") ? `${path}…` : path}\``;
}
