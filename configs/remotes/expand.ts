import { isMap } from "../kit/maps";
import type { Problem } from "../kit/problems";
import { suggestion } from "../kit/problems";
import { type BoxConfig, boxesSchema } from "../schema/boxes";
import { nameClashes } from "./clashes";
import { type Borrowed, entryOf } from "./entry";
import type { Surroundings } from "./files";
import { type BoxProblem, baseUrlOf } from "./reach";
import { type ServedModel, servedBy } from "./served";

export interface Unexpanded extends Surroundings {
  stack: string;
  /** As in the file. */
  values: Record<string, unknown>;
}

export interface Expanded {
  /** The config with an entry for each model of another box among its own. */
  values: Record<string, unknown>;
  /** Model to the boxes that serve it, in the order of its instances. Only models of boxes. */
  origins: Record<string, string[]>;
  problems: Problem[];
  /** The problem to report when boxes serve each other in a circle. */
  loop?: BoxProblem;
}

/**
 * Adds the models of other boxes to a config, as `engine: openai` entries with one instance per box. Only this function knows
 * about other boxes; everything after it sees ordinary models.
 *
 * @param trail stacks whose models are being asked for
 */
export function expandBoxes(raw: Unexpanded, trail = [raw.stack]): Expanded {
  const parsed = boxesSchema.safeParse(raw.values.boxes ?? {});
  // `parseStack` reports mistakes in the section itself.
  if (!parsed.success) return { values: raw.values, origins: {}, problems: [] };
  const problems: Problem[] = [];
  const borrowed = new Map<string, Borrowed[]>();
  let loop: BoxProblem | undefined;
  // Pulumi sorts maps before it hands them over. The order must not change the gateway's generation.
  for (const [box, config] of Object.entries(parsed.data).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const found = modelsOf(box, config, raw, trail);
    problems.push(...found.problems.map((problem) => atBox(box, problem)));
    loop ??= found.problems.find((problem) => problem.loop);
    for (const model of found.models) {
      const { name } = model.served;
      borrowed.set(name, [...(borrowed.get(name) ?? []), model]);
    }
  }
  const { problems: clashing, refused } = nameClashes(raw.values.models, borrowed);
  problems.push(...clashing);
  const own = raw.values.models;
  const good = [...borrowed].filter(([name]) => !refused.has(name));
  const entries = Object.fromEntries(good.map(([name, models]) => [name, entryOf(models, refused)]));
  const origins = Object.fromEntries(good.map(([name, models]) => [name, models.map(({ box }) => box)]));
  const readable = own === undefined || isMap(own);
  const values = readable && good.length > 0 ? { ...raw.values, models: { ...own, ...entries } } : raw.values;
  return { values, origins, problems, ...(loop ? { loop } : {}) };
}

function modelsOf(
  box: string,
  config: BoxConfig,
  surroundings: Surroundings,
  trail: string[],
): { models: Borrowed[]; problems: BoxProblem[] } {
  const served = servedBy(config.stack ?? box, surroundings, trail, expandBoxes);
  if ("fix" in served) return { models: [], problems: [served] };
  const baseUrl = baseUrlOf(served, config);
  const names = served.models.map(({ name }) => name);
  const unknown = (config.models ?? []).flatMap((name, index): BoxProblem[] =>
    names.includes(name)
      ? []
      : [
          {
            key: `.models[${index}]`,
            what: `That box serves no model "${name}".`,
            fix: names.length > 0 ? suggestion(name, names) : "Remove it.",
          },
        ],
  );
  if (typeof baseUrl !== "string") return { models: [], problems: [baseUrl, ...unknown] };
  const wanted = ({ name }: ServedModel) => config.models?.includes(name) ?? true;
  return {
    models: served.models
      .filter(wanted)
      .map((model) => ({ box, config, baseUrl, served: config.aliases ? model : { ...model, aliases: [] } })),
    problems: unknown,
  };
}

function atBox(box: string, { key, what, fix }: BoxProblem): Problem {
  return { path: `gpubox:boxes.${box}${key}`, what, fix };
}
