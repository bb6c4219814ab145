import { within } from "../../platform/within";
import { ModelList } from "./routes";

/** Timeout in milliseconds for the list of models. Without a gateway the edge would hold the request for a minute. */
const LIST_MS = 8_000;

/**
 * The models that a box lists to clients; undefined where it does not answer in time.
 *
 * @param send how requests go. Default: as fetch sends them
 */
export async function listedModels(
  endpoint: string,
  key: string | undefined,
  send: (url: string, init: RequestInit) => Promise<Response> = fetch,
): Promise<string[] | undefined> {
  try {
    const headers: Record<string, string> = key ? { authorization: `Bearer ${key}` } : {};
    const answer = await within(LIST_MS, (signal) =>
      send(`${endpoint}/v1/models`, { headers, redirect: "manual", signal }),
    );
    return ModelList.parse(await answer.json()).data.map(({ id }) => id);
  } catch {
    return undefined;
  }
}
