import { everyPair } from "../../support/runs";
import { bodyFor, chat, complaints, each, notAnswered } from "./answers";
import { type AttackBox, type Listener, type Name, planted, testOn } from "./lab";
import { CONTENTS, MODELS, STEERING } from "./parameters";
import { nothingElse } from "./upstream";

export const ROUTES = [
  "/v1/chat/completions",
  "/v1/messages",
  "/v1/completions",
  "/v1/responses",
  "/v1/embeddings",
];

/** Bodies that tell the gateway what only its owner may tell it. */
export function steeringAttacks(box: () => AttackBox, on: Name[]): void {
  /** Every wrong thing about an answer and what the upstream was asked for it. */
  const judged = async (to: Listener, path: string, about: object, label: string) => {
    const answer = await box().post(to, path, about);
    const stolen = Object.entries(planted).find(([, value]) => answer.body.includes(value));
    if (stolen) return [label, `the answer has ${stolen[0]}`] as [string, string];
    if (/MOCKED|CANARY/.test(answer.body))
      return [label, `another one answered: ${answer.body.slice(0, 160)}`] as [string, string];
    return [label, notAnswered(answer)] as [string, string | undefined];
  };

  testOn(
    on,
    ["clients", "clients with TLS", "admin", "job"],
    "no parameter of a body steers the gateway",
    async (name) => {
      const to = box().listener(name);
      await box().forget("upstream");
      // The others share the gateway, so that one route of each is enough to see that nothing lies between.
      const routes = name === "clients" || name === "job" ? ROUTES.slice(0, 4) : ROUTES.slice(0, 1);
      const attempts = routes.flatMap((path, route) =>
        STEERING.map(([field, value], n) => ({ path, field, value, n })).filter(
          // A job's gateway is the same program with a shorter config: there each parameter on one route.
          ({ n }) => everyPair || name !== "job" || n % routes.length === route,
        ),
      );
      const found = await each(attempts, ({ path, field, value, n }) => {
        const label = `${path} ${field}: ${JSON.stringify(value)}`;
        return judged(to, path, { ...bodyFor(to.model, path, `steer ${name} ${n}`), [field]: value }, label);
      });
      expect(complaints(found)).toEqual([]);
      await nothingElse(box());
    },
    120_000,
  );

  testOn(
    on,
    ["clients", "job"],
    "no content makes the gateway fetch, and no name is an address",
    async (name) => {
      const to = box().listener(name);
      await box().forget("upstream");
      const asked = CONTENTS.flatMap((content) =>
        ROUTES.slice(0, 4).map((path) => ({
          path,
          body: {
            ...bodyFor(to.model, path, "x"),
            messages: [{ role: "user", content }],
            input: [{ role: "user", content }],
          },
        })),
      );
      const named = MODELS.flatMap((model) =>
        ROUTES.map((path) => ({ path, body: { ...bodyFor(to.model, path, "x"), model } })),
      );
      // A job's gateway is the same program: there each content and each name on one route.
      const chosen = [asked, named].flatMap((list, of) => {
        const routes = of === 0 ? 4 : ROUTES.length;
        return list.filter(
          (_, n) => everyPair || name !== "job" || n % routes === Math.floor(n / routes) % routes,
        );
      });
      const found = await each(chosen, ({ path, body }) =>
        judged(to, path, body, `${path} ${JSON.stringify(body).slice(0, 200)}`),
      );
      expect(complaints(found)).toEqual([]);
      await nothingElse(box());
    },
    120_000,
  );

  testOn(on, ["clients"], "a cache key of one's own reads nobody's answer and poisons none", async (name) => {
    const to = box().listener(name);
    const ask = (text: string, more: object) =>
      box().post(to, "/v1/chat/completions", chat("far", text, { ...more }));
    const said = (answer: { body: string }) => /echo: [\w ]*/.exec(answer.body)?.[0];
    for (const how of [
      { cache_key: "mine" },
      { cache: { key: "mine" } },
      { preset_cache_key: "mine" },
      { metadata: { cache_key: "mine" } },
    ]) {
      const name = JSON.stringify(how).replace(/\W+/g, " ").trim();
      const first = await ask(`one of ${name}`, how);
      const second = await ask(`two of ${name}`, how);
      expect(
        complaints([
          [name, notAnswered(first)],
          [name, notAnswered(second)],
        ]),
      ).toEqual([]);
      const texts = [said(first), said(second)].filter((text) => text !== undefined);
      expect(texts).toEqual([`echo: one of ${name}`, `echo: two of ${name}`].slice(2 - texts.length));
    }
  });

  testOn(on, ["clients"], "a cache key that is another's counter leaves it alone", async (name) => {
    const to = box().listener(name);
    const redis = async (...command: string[]) =>
      box().docker(
        "exec",
        box().container("cache"),
        "sh",
        "-c",
        `REDISCLI_AUTH="$(cat /etc/gpubox/password)" redis-cli ${command.join(" ")}`,
      );
    await redis("set", "attack:counter", "7");
    for (const key of ["attack:counter", "gpubox:attack:counter"])
      await box().post(to, "/v1/chat/completions", chat("far", `counter ${key}`, { cache_key: key }));
    expect(await redis("get", "attack:counter")).toBe("7");
    const keys = (await redis("--scan", "--pattern", "'*attack:counter*'")).split("\n");
    expect(keys).toEqual(["attack:counter"]);
  });
}
