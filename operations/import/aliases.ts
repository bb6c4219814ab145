import type { Draft } from "./draft";
import type { Input } from "./input";
import { textOf } from "./values";

/** `{ alias: model }`, or `{ alias: { model, hidden } }`. Aliases of what is no model are pruned with it. */
export function aliases(input: Input, { draft }: { draft: Draft }): void {
  for (const one of input.children()) {
    const model = textOf(one) ?? textOf(one.at("model"));
    const holder = model === undefined ? undefined : draft.holderOf(model);
    if (holder === undefined) {
      one.lose("it is an alias of no model that came over");
      continue;
    }
    const list = (holder.entry.aliases ?? []) as string[];
    (one.at("model") ?? one).carry(`gpubox:models.${holder.name}.aliases[${list.length}]`);
    holder.entry.aliases = [...list, one.name];
    draft.routes.push({ name: one.name, old: `as ${model}` });
  }
}
