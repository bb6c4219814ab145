import type { Browser } from "playwright-core";
import { UiSession } from "../../support/browser";
import type { Claims, OidcProvider } from "../../support/oidcProvider";

const MINUTE = 60_000;

/** Whom the provider knows. erin is declared, and new.example is a domain of newcomers. */
export const signers: Claims[] = [
  { sub: "erin", email: "Erin@example.com", email_verified: true, role: "proxy_admin" },
  { sub: "nils", email: "nils@new.example", role: "proxy_admin" },
  { sub: "eve", email: "eve@elsewhere.example" },
  { sub: "nobody" },
  { sub: "mallory", email: "erin@example.com", email_verified: false },
];

interface Scene {
  browser: () => Browser;
  provider: () => OidcProvider;
  /** Of the admin port, where the provider sends people back. */
  origin: string;
  /** One ping at the clients' port; the answer's text. */
  ping: (key: string) => Promise<string>;
  /** What `gpubox people --json` prints. */
  people: () => Promise<string>;
  /** A name that no try of a test has used. */
  fresh: (name: string) => string;
}

/** Tests of a login at a provider. */
export function singleSignOn({ browser, provider, origin, ping, people, fresh }: Scene): void {
  /** A session that chose this person at the provider, and the status of the answer where the provider sends them back. */
  async function signIn(person: string): Promise<{ ui: UiSession; status: number; says: string }> {
    const ui = await UiSession.open(browser(), origin);
    await ui.visit("login/", "Login with SSO");
    await ui.page.getByRole("button", { name: "Login with SSO" }).click();
    const back = ui.page.waitForResponse((response) => response.url().startsWith(provider().redirect));
    await ui.page.getByRole("button", { name: person, exact: true }).click();
    const answer = await back;
    const says = answer.status() === 303 ? "" : await answer.text();
    return { ui, status: answer.status(), says };
  }

  test(
    "lets a declared person in by single sign-on, with the role and limits of the config and not of the provider",
    async () => {
      const before = provider().asked.length;
      const { ui: erin, status } = await signIn("erin");
      expect(status).toBe(303);
      await erin.page.waitForURL(`${origin}/ui/?login=success`);
      await erin.sees("of $0.05 budget");
      expect(await erin.shows("Internal Users")).toBe(0);
      const cookies = (await erin.context.cookies()).filter(({ name }) => name === "token");
      expect(cookies.map(({ secure }) => secure)).toEqual([true]);
      const name = fresh("erins-editor");
      const key = await erin.makeKey(name);
      expect(await ping(key)).toBe("pong from the gpubox test model");
      await erin.visit("api-keys/", name);
      expect(await erin.shows("alice")).toBe(0);
      await erin.context.close();
      expect(provider().asked.slice(before)).toEqual([
        ...["GET /authorize 200", "POST /authorize 303", "POST /token 200", "GET /userinfo 200"],
      ]);
    },
    4 * MINUTE,
  );

  test(
    "lets a newcomer of a declared domain look, and nobody else in",
    async () => {
      const { ui: nils, status } = await signIn("nils");
      expect(status).toBe(303);
      await nils.page.waitForURL(`${origin}/ui/?login=success`);
      await nils.visit("api-keys/", /virtual keys/i);
      expect(await nils.shows("Create New Key")).toBe(0);
      await nils.context.close();
      for (const [person, why] of [
        ["eve", "Nobody has declared eve@elsewhere.example here."],
        ["nobody", "The provider names no"],
        ["mallory", "The provider has not verified erin@example.com."],
      ] as const) {
        const { ui, ...refused } = await signIn(person);
        expect({ person, ...refused }).toEqual({ person, status: 401, says: expect.stringContaining(why) });
        expect((await ui.context.cookies()).filter(({ name }) => name === "token")).toEqual([]);
        await ui.context.close();
      }
      expect(
        JSON.parse(await people()).map(({ name, state, role }: Record<string, string>) => [
          name,
          state,
          role,
        ]),
      ).toEqual([
        ["dana", "used up", "internal_user"],
        ["erin", "ok", "internal_user"],
        ["nils", "undeclared", "internal_user_viewer"],
      ]);
    },
    4 * MINUTE,
  );
}
