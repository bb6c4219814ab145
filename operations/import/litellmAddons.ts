import { z } from "zod";
import type { Draft } from "./draft";
import type { Input } from "./input";
import { withSecrets } from "./litellmModel";
import { textOf, type Variables, variableSecret } from "./values";

/** What LiteLLM's config has beside models and settings. */
interface About {
  draft: Draft;
  variables: Variables;
}

const BEARER = /^bearer (os\.environ\/\w+|\S+)$/i;

/** `general_settings.pass_through_endpoints` as `gateway.passThrough`. */
export function passThrough(list: Input, about: About): void {
  for (const one of list.children()) {
    const path = textOf(one.at("path"));
    const target = textOf(one.at("target"));
    if (!path || !target) {
      one.lose("it names no path and no target");
      continue;
    }
    const to = `gpubox:gateway.passThrough.${path}`;
    const methods = one.at("methods")?.read(z.array(z.string().toUpperCase()));
    const cost = one.at("cost_per_request")?.read(z.number().positive());
    const route = {
      target,
      ...headersOf(one.at("headers"), to, about),
      ...(one.at("include_subpath")?.value === true ? { subpaths: true } : {}),
      ...(methods ? { methods } : {}),
      ...(cost === undefined ? {} : { costPerRequest: cost }),
    };
    about.draft.set("gateway", ["passThrough", path], route);
    one.at("path")!.carry(to);
    one.at("target")!.carry(`${to}.target`);
    one.at("include_subpath")?.carry(`${to}.subpaths`);
    one.at("auth")?.carry(to);
    one.at("id")?.carry(to);
    if (methods) one.at("methods")!.carry(`${to}.methods`, true);
    else about.draft.remark(`${to}`, "LiteLLM took every method; without `methods` it takes POST alone.");
    if (cost !== undefined) one.at("cost_per_request")!.carry(`${to}.costPerRequest`);
    if (one.at("auth")?.value !== true)
      about.draft.remark(to, "Clients need a key of this box now, which the old route did not ask for.");
    one.lose("gpubox's routes have no such key");
  }
}

/** Header fields for the target: a bearer key is `apiKey`. */
function headersOf(input: Input | undefined, to: string, { draft, variables }: About): object {
  const headers: Record<string, unknown> = {};
  let apiKey: unknown;
  for (const one of input?.children() ?? []) {
    const [, bearer] = BEARER.exec(textOf(one) ?? "") ?? [];
    if (/^authorization$/i.test(one.name) && bearer !== undefined) {
      one.carry(`${to}.apiKey`);
      apiKey = bearer.startsWith("os.environ/")
        ? variableSecret(bearer.slice("os.environ/".length), draft, variables)
        : draft.secret(`${to.split("/").at(-1)}-key`, { from: "the header Authorization", value: bearer });
    } else if (/^content-type$/i.test(one.name)) one.lose("what the client sends goes on as it is");
    else {
      headers[one.name] = withSecrets(one, draft, variables);
      one.carry(`${to}.headers.${one.name}`);
    }
  }
  return {
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(Object.keys(headers).length > 0 ? { headers } : {}),
  };
}

/** `guardrails`, each with its own `litellm_params`. The former form, a map with `callbacks`, is told. */
export function guardrails(list: Input, { draft, variables }: About): void {
  for (const one of list.children()) {
    const name = textOf(one.at("guardrail_name"));
    const params = one.at("litellm_params");
    const kind = textOf(params?.at("guardrail"));
    const mode = params?.at("mode")?.read(z.union([z.string(), z.array(z.string())]));
    if (!name || !params || !kind || mode === undefined) {
      one.lose("LiteLLM has left this form of guardrails behind, or it lacks its kind or its mode");
      continue;
    }
    const to = `gpubox:gateway.guardrails.${name}`;
    one.at("guardrail_name")!.carry(to);
    params.at("guardrail")!.carry(`${to}.guardrail`);
    params.at("mode")!.carry(`${to}.mode`, Array.isArray(mode));
    const always = params.at("default_on");
    if (always?.value !== true)
      draft.remark(to, "It was asked for by requests or keys; with gpubox every request passes it.");
    always?.carry(to);
    const rest = params.children().filter((input) => input.untouched && input.value !== null);
    const own = rest.map((input) => {
      const value = withSecrets(input, draft, variables);
      input.carry(`${to}.params.${input.name}`, true);
      return [input.name, value];
    });
    draft.set("gateway", ["guardrails", name], {
      ...{ guardrail: kind, mode },
      ...(own.length > 0 ? { params: Object.fromEntries(own) } : {}),
    });
    one.lose("gpubox's guardrails have no such key");
  }
}
