import type { BoxPlan } from "../../configs/kit/types";
import { servicesOf } from "../../configs/plan/box";
import type { ContainerFacts } from "./facts";
import { moment } from "./memoryKills";
import { ask, execWithin, timedOut } from "./timeLimits";

/** Exit codes of `docker exec` for a command that could not run, which says nothing about the container. */
const NOT_RUN = [125, 126, 127];

/** Runs the health check of every running container once, all at the same time. */
export async function probed(box: BoxPlan, containers: ContainerFacts[]): Promise<ContainerFacts[]> {
  const tests = Object.fromEntries(
    servicesOf(box).map(({ container }) => [container.name, probeCommand(container.health.test)]),
  );
  return Promise.all(
    containers.map(async (one) => {
      const test = tests[one.role];
      if (one.state !== "running" || !test) return one;
      return { ...one, ...(await probe(box, one, test)) };
    }),
  );
}

/** A health check of Docker's as a command. */
export function probeCommand([kind, ...words]: string[]): string[] | undefined {
  if (kind === "CMD") return words;
  return kind === "CMD-SHELL" ? ["sh", "-c", ...words] : undefined;
}

async function probe(
  box: BoxPlan,
  { name, lastWords }: ContainerFacts,
  test: string[],
): Promise<Partial<ContainerFacts>> {
  const result = await execWithin(box, name, test);
  if (result.code === 0) return { probe: "answers", healed: healedIn(result.stdout, Date.now() / 1000) };
  // Its state may have changed since it was listed.
  if (/ is paused/.test(result.stderr)) return { state: "paused" };
  if (/ is not running| is restarting|No such container/.test(result.stderr)) return {};
  if (timedOut(result)) return { probe: "silent" };
  if (NOT_RUN.includes(result.code)) return {};
  return { probe: "fails", lastWords: lastWords ?? lineOf(result.stderr || result.stdout) };
}

function lineOf(text: string): string | undefined {
  const words = text.replace(/[\p{Cc}\s]+/gu, " ").trim();
  return words ? words.slice(-300) : undefined;
}

/** Names of a container's processes that a signal has stopped; undefined where the engine does not answer. */
export async function haltedIn(
  box: Pick<BoxPlan, "docker">,
  container: string,
): Promise<string[] | undefined> {
  const { code, stdout } = await ask(box, ["top", container, "-eo", "pid,stat,comm"]);
  return code === 0 ? parseTop(stdout) : undefined;
}

/** Commands in state `T` of a table `PID STAT COMMAND`; `t` is a debugger's. */
export function parseTop(table: string): string[] {
  const names = table.split("\n").flatMap((line) => /^\s*\d+\s+T\S*\s+(\S.*?)\s*$/.exec(line)?.[1] ?? []);
  return [...new Set(names)];
}

/** A day in seconds: what was healed before that is no news. */
const DAY = 24 * 3600;

type Healed = NonNullable<ContainerFacts["healed"]>[number];

/** What a health check says of what was healed (assets/health/heal.sh), of the last day. */
export function healedIn(said: string, now: number): ContainerFacts["healed"] {
  const lines = [...said.matchAll(/^(\d{10}) (hung|resumed|starved): (.+)$/gm)]
    .map(([, at, what, why]) => ({ at: Number(at), what: what as Healed["what"], why: why! }))
    .filter(({ at }) => now - at < DAY);
  return (["hung", "resumed", "starved"] as const).flatMap((kind) => {
    const same = lines.filter(({ what }) => what === kind);
    const last = same.at(-1);
    return last ? [{ what: kind, count: same.length, lastAt: moment(last.at), why: last.why }] : [];
  });
}
