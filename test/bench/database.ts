import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { output } from "../../platform/process";
import type { LoadBox } from "../load/box";
import { type Beside, memoryMiB, startBeside } from "./beside";
import { seconds, table } from "./figures";
import { compare } from "./overhead";

/**
 * The gateway of a box with a database, twice beside it: once as it is, and once without its database half. Clients with the
 * master key ask both, and clients with a virtual key the one that knows such keys.
 */
export async function benchDatabase(box: LoadBox, requests: number, say: (line: string) => void) {
  const folder = mkdtempSync(join(tmpdir(), "gpubox-bench-database-"));
  const gateways: Beside[] = [];
  try {
    gateways.push(
      await startBeside(box, folder, { title: "stateless", suffix: "stateless", edit: takeDatabase }),
      await startBeside(box, folder, { title: "database, master key", suffix: "stateful" }),
    );
    const [stateless, stateful] = gateways as [Beside, Beside];
    const key = await virtualKey(stateful);
    const keyed = {
      ...stateful.way,
      title: "database, virtual key",
      target: { ...stateful.way.target, key },
    };
    const figures = await compare("gateway", requests, say, [stateless.way, stateful.way, keyed]);
    const memory = await Promise.all(
      [stateless.name, stateful.name, `gpubox-${box.project.stack}-database`].map(memoryMiB),
    );
    const starts = [stateless.start, stateful.start];
    const rows = ["stateless gateway", "gateway with a database", "Postgres"].map((title, index) => [
      title,
      starts[index] === undefined ? "–" : seconds(starts[index]),
      memory[index]!.toFixed(0),
    ]);
    say(`\n${table(["", "`docker run` to readiness, s", "memory after that, MiB"], rows)}`);
    return { figures, startMs: starts, memoryMiB: memory };
  } finally {
    for (const { name } of gateways) await output("docker", ["rm", "--force", name]);
    rmSync(folder, { recursive: true });
  }
}

/** What `gpubox:database.mode: none` leaves out. */
function takeDatabase(folder: string): void {
  const config = join(folder, "config.yaml");
  const settings = parse(readFileSync(config, "utf8"));
  for (const name of [
    "database_url",
    "database_connection_pool_limit",
    "maximum_spend_logs_retention_period",
    "use_redis_transaction_buffer",
    "proxy_batch_write_at",
  ])
    delete settings.general_settings[name];
  writeFileSync(config, stringify(settings));
  const env = join(folder, "gateway.env");
  writeFileSync(env, readFileSync(env, "utf8").replace(/^DATABASE_URL=.*\n/m, ""));
}

async function virtualKey({ way: { target } }: Beside): Promise<string> {
  const answer = await fetch(`http://${target.host}:${target.port}/key/generate`, {
    method: "POST",
    headers: { authorization: `Bearer ${target.key}`, "content-type": "application/json" },
    body: "{}",
  });
  if (!answer.ok) throw new Error(`no virtual key: ${answer.status} ${await answer.text()}`);
  return ((await answer.json()) as { key: string }).key;
}
