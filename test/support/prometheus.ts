import { z } from "zod";

const answer = z.object({
  data: z.object({
    result: z.array(
      z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) }),
    ),
  }),
});

export interface Series {
  labels: Record<string, string>;
  value: number;
}

/** A query's present values; Grafana's variables stand for a minute, and for five. Throws where Prometheus refuses it. */
export async function query(prometheus: string, expr: string): Promise<Series[]> {
  const text = expr.replaceAll("$__rate_interval", "1m").replaceAll("$__range", "5m");
  const response = await fetch(`${prometheus}/api/v1/query?${new URLSearchParams({ query: text })}`);
  const body = await response.text();
  if (!response.ok) throw new Error(`${text}: ${body}`);
  return answer
    .parse(JSON.parse(body))
    .data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
}

/** Names of every metric that Prometheus has read. */
export async function metricNames(prometheus: string): Promise<Set<string>> {
  const response = await fetch(`${prometheus}/api/v1/label/__name__/values`);
  return new Set(z.object({ data: z.array(z.string()) }).parse(await response.json()).data);
}

/** Names of metrics in an expression: words that are neither function, label, keyword nor text. */
export function namesIn(expr: string): string[] {
  const bare = expr
    .replace(/"[^"]*"/g, "")
    .replace(/\{[^}]*\}/g, "")
    .replace(/\b(by|on|without)\s*\([^)]*\)/g, "")
    .replace(/\[[^\]]*\]/g, "");
  return [...new Set(bare.match(/\b[a-zA-Z_][\w:]*\b(?!\s*\()/g) ?? [])].filter(
    (word) => !["by", "on", "or", "and", "without", "unless", "bool"].includes(word),
  );
}
