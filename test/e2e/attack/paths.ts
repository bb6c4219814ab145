import { posix } from "node:path";
import { chat, complaints, each, notRefused } from "./answers";
import { type AttackBox, JSON_TYPE, type Listener, type Name, testOn } from "./lab";
import { CLOSED, pathTricks, REACHED } from "./pathTricks";

/** The edge's allowlist against whoever has a key of the port. */
export function pathAttacks(box: () => AttackBox, on: Name[]): void {
  const get = async (to: Listener, path: string, headers: string[] = []) => {
    const answer = await box().ask(to, { path, headers });
    return REACHED.test(answer.body) ? `the admin route answered ${path}` : notRefused(answer);
  };

  testOn(
    on,
    ["clients", "clients with TLS", "job"],
    "no way to write a path leads to an admin route",
    async (name) => {
      const to = box().listener(name);
      const paths = ["/v1/models", "/v1/responses", "/health/liveliness"].flatMap((allowed) =>
        pathTricks(allowed, to.host),
      );
      const all = [...new Set([...paths, ...CLOSED])];
      expect(all.length).toBeGreaterThan(50);
      const found = await each(
        all,
        async (path): Promise<[string, string | undefined]> => [path, await get(to, path)],
      );
      expect(complaints(found)).toEqual([]);
    },
  );

  testOn(
    on,
    ["admin", "admin with TLS"],
    "without its key no path is answered, and with it none drains a gateway",
    async (name) => {
      const to = box().listener(name);
      const keyless = pathTricks("/v1/models", to.host).map((path) => ({
        path,
        bare: true,
        headers: [`Host: ${to.host}`],
      }));
      const drains = pathTricks("/v1/models", to.host).map((path) => ({
        path: path.replaceAll("model", "health").replaceAll("info", "drain"),
        headers: [`X-Drain-Token: ${to.key}`],
      }));
      const found = await each(
        [...keyless, ...drains],
        async (attempt): Promise<[string, string | undefined]> => {
          const answer = await box().ask(to, attempt);
          // The list of models' own page, and the UI's, are no secrets.
          return [
            attempt.path,
            REACHED.test(answer.body) || /drain(ing|ed)/.test(answer.body) ? answer.body : undefined,
          ];
        },
      );
      expect(complaints(found)).toEqual([]);
    },
  );

  testOn(on, ["direct"], "nothing outside /v1/ reaches the backend", async (name) => {
    const to = box().listener(name);
    await box().forget("upstream");
    const paths = [
      ...pathTricks("/v1/models", to.host),
      "/slots",
      "/props",
      "/metrics",
      "/health",
      "/v1",
      "/lora-adapters",
    ];
    const found = await each(paths, async (path): Promise<[string, string | undefined]> => {
      const answer = await box().ask(to, { path: path.replaceAll("model/info", "slots/0"), headers: [] });
      return [path, answer.status === 200 ? undefined : notRefused(answer)];
    });
    expect(complaints(found)).toEqual([]);
    const { requests } = await box().kept("upstream");
    const outside = requests.filter(({ path }) => !posix.normalize(decoded(path)).startsWith("/v1/"));
    expect(outside.map(({ path }) => path)).toEqual([]);
  });

  testOn(on, on, "no other method and no field of a proxy's leads elsewhere", async (name) => {
    const to = box().listener(name);
    const refused = [
      { method: "CONNECT", path: "canary.test:80" },
      { method: "CONNECT", path: "/v1/models" },
      { method: "TRACE", path: "/v1/models" },
      { method: "TRACK", path: "/v1/models" },
      { method: "PRI", path: "*" },
      { method: "get", path: "/v1/models" },
      { method: "GET", path: "http://canary.test:80/v1/other" },
    ];
    const found = await each(refused, async (attempt): Promise<[string, string | undefined]> => {
      const answer = await box().ask(to, attempt);
      const what = `${attempt.method} ${attempt.path}`;
      // A backend may answer any method on its own routes, but never with what it was asked.
      if (name === "direct" && answer.status === 200)
        return [what, /authorization/i.test(answer.body) ? answer.body : undefined];
      return [what, notRefused(answer)];
    });
    const fields = [
      "X-Original-URL",
      "X-Rewrite-URL",
      "X-Original-Host",
      "X-Forwarded-Prefix",
      "X-HTTP-Method-Override",
    ];
    const misled = await each(fields, async (field): Promise<[string, string | undefined]> => {
      const { body } = await box().ask(to, { path: "/v1/models", headers: [`${field}: /model/info`] });
      return [field, REACHED.test(body) ? body : undefined];
    });
    expect(complaints([...found, ...misled])).toEqual([]);
  });

  testOn(on, on, "a key in the query, or beside it, opens nothing", async (name) => {
    const to = box().listener(name);
    const host = `Host: ${to.host}`;
    const attempts = [
      ...["key", "api_key", "api-key", "token", "access_token", "x-api-key", "authorization"].map(
        (field) => ({
          ...{ path: `/v1/models?${field}=${to.key}`, bare: true, headers: [host] },
        }),
      ),
      { path: "/v1/models", bare: true, headers: [host] },
      { path: "/v1/models", bare: true, headers: [host, `Cookie: token=${to.key}`] },
      { path: "/v1/models", bare: true, headers: [host, `Authorization: Basic ${btoa(`user:${to.key}`)}`] },
      { path: "/v1/models", bare: true, headers: [host, "Authorization: Bearer "] },
      { path: "/v1/models", bare: true, headers: [host, "Authorization: Bearer sk-wrong-0123456789abcdef"] },
      { path: "/v1/models", bare: true, headers: [host, "x-api-key: sk-wrong-0123456789abcdef"] },
      { path: "/v1/models", bare: true, headers: [host, "x-api-key:"] },
    ];
    const found = await each(attempts, async (attempt): Promise<[string, string | undefined]> => {
      const answer = await box().ask(to, attempt);
      const why =
        // LiteLLM itself judges a request without any key there.
        answer.status === 401 || name.startsWith("admin")
          ? notRefused(answer)
          : `${answer.status} ${answer.body.slice(0, 160)}`;
      return [`${attempt.path} ${attempt.headers.slice(1)}`, why];
    });
    expect(complaints(found)).toEqual([]);
  });

  testOn(on, ["clients", "job"], "a bad Authorization beside a good x-api-key is no 400", async (name) => {
    const to = box().listener(name);
    const headers = [`Host: ${to.host}`, "Authorization: Bearer wrong", `x-api-key: ${to.key}`, JSON_TYPE];
    const attempt = { method: "POST", path: "/v1/chat/completions", bare: true, headers };
    const { status } = await box().ask(to, {
      ...attempt,
      body: JSON.stringify(chat(to.model, "two keys")),
    });
    expect([200, 401]).toContain(status);
  });

  testOn(
    on,
    ["clients", "admin", "clients with TLS", "admin with TLS"],
    "a host that is not listed is turned away, in whatever form it comes",
    async (name) => {
      const to = box().listener(name);
      const bearer = `Authorization: Bearer ${to.key}`;
      const attempts = [
        ...[
          "evil.test",
          `${to.host}.evil.test`,
          `evil.test:${to.port}`,
          `${to.host}@evil.test`,
          "",
          "[::2]",
          "evil.test/x",
        ].map((host) => ({ path: "/v1/models", headers: [`Host: ${host}`] })),
        { path: "/v1/models", headers: [] },
        { path: "http://evil.test/v1/models", headers: [`Host: ${to.host}`] },
        { path: "/v1/models", headers: ["X-Forwarded-Host: 127.0.0.1", "Host: evil.test"] },
      ];
      const found = await each(
        attempts,
        async ({ path, headers }): Promise<[string, string | undefined]> => [
          `${path} ${headers}`,
          notRefused(await box().ask(to, { path, bare: true, headers: [...headers, bearer] })),
        ],
      );
      expect(complaints(found)).toEqual([]);
    },
  );
}

/** As the backend reads it: decoded once. */
function decoded(path: string): string {
  return path.replace(/%[0-9a-f]{2}/gi, (code) => unescape(code)).replaceAll("\\", "/");
}
