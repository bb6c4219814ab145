import { type AttackBox, planted, STACK } from "./lab";
import { CANARY, type Kept } from "./servers";

const KNOWN_PATH =
  /^\/v1\/(chat\/completions|completions|embeddings|audio\/transcriptions|responses(\/[\w=-]+(\/(cancel|input_items))?)?)$/;

/** What the upstream's requests may not have: another's key, a secret, a field or a route of the attacker's. */
export function strange({ path, headers, body, method }: Kept): string[] {
  const { authorization, host, ...others } = headers;
  const what = `${method} ${path}`;
  const secret = Object.entries(planted).find(
    ([, value]) => JSON.stringify(others).includes(value) || body.includes(value) || path.includes(value),
  );
  return [
    ...(authorization === `Bearer ${planted.farKey}` ? [] : [`${what}: authorization ${authorization}`]),
    ...(host === `gpubox-${STACK}-upstream:8000` ? [] : [`${what}: host ${host}`]),
    ...(KNOWN_PATH.test(path) ? [] : [what]),
    ...(JSON.stringify(others).includes(CANARY) || "x-attack" in headers || "x-stolen" in headers
      ? [`${what}: ${JSON.stringify(others)}`]
      : []),
    ...(secret ? [`${what}: has ${secret[0]}`] : []),
  ];
}

/** Nothing but what its own clients may ask came to the upstream. */
export async function nothingElse(box: AttackBox): Promise<void> {
  const { requests } = await box.kept("upstream");
  expect(requests.flatMap((one) => strange(one))).toEqual([]);
}
