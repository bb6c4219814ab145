import { output } from "../../../platform/process";
import { type Answered, askReplica } from "../../support/access";
import { until } from "../../support/wait";
import type { AccessBox } from "./box";

/** What the limits' tests declare. A call costs more than each of the budgets, and a tenth of `words`' tokens or more. */
export const limited = {
  teams: { small: { budgetUsd: 0.001 } },
  keys: {
    member: { key: { secret: "memberKey" }, team: "small" },
    hasty: { key: { secret: "hastyKey" }, rpm: 5 },
    words: { key: { secret: "wordsKey" }, tpm: 100 },
    narrow: { key: { secret: "narrowKey" }, maxParallel: 2 },
    guest: { key: { secret: "guestKey" }, expires: "2099-01-31" },
  },
};

const statuses = (answers: Answered[]) => answers.map(({ status }) => status).sort();
const times = (count: number, status: number) => Array<number>(count).fill(status);

/** Tests that every limit of a key, a team and a person holds on both gateways together. */
export function limitsHold(box: () => AccessBox): void {
  /** Calls of both gateways at once, so many of each. */
  const fromBoth = async (key: string, count: number) =>
    (await Promise.all(box().replicas.map((one) => askReplica(one, key, count)))).flat();

  test("requests a minute: exactly as many as declared, then 429 on both gateways", async () => {
    const answers = await fromBoth(box().keys.hastyKey!, 6);
    expect(statuses(answers)).toEqual([...times(5, 200), ...times(7, 429)]);
    expect(answers.find(({ status }) => status === 429)?.body.error).toMatchObject({
      message: expect.stringMatching(/rate limit/i),
    });
  });

  test("tokens a minute: 429 on both gateways once answers have had them; what passes before is counted here", async () => {
    const answers: Answered[] = [];
    await until(
      "a call is refused",
      async () => {
        answers.push(...(await box().everywhere(box().keys.wordsKey!)));
        return answers.some(({ status }) => status === 429);
      },
      { everyMs: 500 },
    );
    await box().answering(429, box().keys.wordsKey!);
    const tokens = answers.map(({ body: { usage } }) =>
      usage ? usage.prompt_tokens + usage.completion_tokens : 0,
    );
    const sum = tokens.reduce((all, one) => all + one, 0);
    process.stdout.write(
      `tpm 100: ${tokens.filter(Boolean).length} calls with ${sum} tokens were answered\n`,
    );
    expect(sum).toBeGreaterThan(0);
  });

  test("open requests: the third is refused with 429 while two wait, whichever gateway has them", async () => {
    const backend = `gpubox-${box().stack}-backend-tiny`;
    await output("docker", ["pause", backend]);
    const seen: number[] = [];
    const calls = [0, 1, 2].flatMap(() =>
      box().replicas.map(async (one) => {
        const [answer] = await askReplica(one, box().keys.narrowKey!, 1);
        seen.push(answer!.status);
      }),
    );
    try {
      await until("four are refused", () => seen.length >= 4);
      expect(seen).toEqual(times(4, 429));
    } finally {
      await output("docker", ["unpause", backend]);
    }
    await Promise.all(calls);
    expect(seen.sort()).toEqual([...times(2, 200), ...times(4, 429)]);
    // What has ended counts no longer.
    await box().answering(200, box().keys.narrowKey!);
  });

  test("a team's budget: 402 on both gateways once it is spent, whichever key spent it", async () => {
    expect((await box().atClients(box().keys.memberKey!)).status).toBe(200);
    await box().answering(402, box().keys.memberKey!);
    const [refused] = await box().everywhere(box().keys.memberKey!);
    expect(refused!.body.error).toMatchObject({ type: "budget_exceeded" });
  });

  test("a person's budget: 402 for every key that they made", async () => {
    const made = await Promise.all(
      ["first", "second"].map((name) =>
        box().admin("/key/generate", { user_id: `gpubox-${box().stack}-dana`, key_alias: `danas-${name}` }),
      ),
    );
    const [first, second] = made.map(({ key }) => String(key));
    expect((await box().atClients(first!)).status).toBe(200);
    for (const key of [first!, second!]) await box().answering(402, key);
    const [refused] = await box().everywhere(second!);
    expect(refused!.body.error).toMatchObject({ type: "budget_exceeded" });
  });
}
