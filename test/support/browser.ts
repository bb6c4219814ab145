import { userInfo } from "node:os";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { until } from "./wait";

/** How a browser reaches a host that has no name in DNS: `{ "box.test": "172.17.0.1" }`. */
export type Hosts = Record<string, string>;

/** Debian's Chromium, without a window. */
export function startBrowser(hosts: Hosts = {}): Promise<Browser> {
  const rules = Object.entries(hosts).map(([name, address]) => `MAP ${name} ${address}`);
  return chromium.launch({
    executablePath: "/usr/bin/chromium",
    // Chromium's sandbox refuses root, and a container's /dev/shm is small.
    chromiumSandbox: userInfo().uid !== 0,
    args: ["--disable-dev-shm-usage", "--disable-gpu", `--host-resolver-rules=${rules.join(",")}`],
  });
}

/** One person's session at LiteLLM's UI. */
export class UiSession {
  /** What the browser asked of other hosts than the UI's own. */
  readonly outside: string[] = [];

  private constructor(
    readonly origin: string,
    readonly context: BrowserContext,
    readonly page: Page,
  ) {
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.protocol.startsWith("http") && url.origin !== origin) this.outside.push(request.url());
    });
  }

  /** @param origin of the admin port: `http://127.0.0.1:4001` */
  static async open(browser: Browser, origin: string): Promise<UiSession> {
    const context = await browser.newContext({
      viewport: { width: 1400, height: 900 },
      // The certificate's authority is the test's own, and the TLS tests check the chain.
      ignoreHTTPSErrors: true,
    });
    context.setDefaultTimeout(60_000);
    return new UiSession(origin, context, await context.newPage());
  }

  /**
   * Opens a page of the UI, again where the machine's networks changed meanwhile: Chromium gives up all requests when a container
   * comes or goes.
   *
   * @param ready a text that only the finished page has; other tests' networks may cost it a second load
   */
  async visit(path: string, ready?: string | RegExp): Promise<void> {
    await until(
      `${path} shows ${ready}`,
      async () => {
        try {
          await this.page.goto(`${this.origin}/ui/${path}`, { waitUntil: "domcontentloaded" });
          if (ready) await this.page.getByText(ready).first().waitFor({ timeout: 15_000 });
          return true;
        } catch {
          return false;
        }
      },
      { seconds: 120 },
    );
  }

  /** Fills the login's form and sends it; the status of the gateway's answer. */
  async login(username: string, password: string): Promise<number> {
    await this.page.getByLabel("Username").fill(username);
    await this.page.getByLabel("Password", { exact: true }).fill(password);
    const answered = this.page.waitForResponse((response) => response.url().endsWith("/v2/login"));
    await this.page.getByRole("button", { name: "Login", exact: true }).click();
    return (await answered).status();
  }

  /** Makes a key with the dialog of "Virtual Keys"; the key. */
  async makeKey(name: string): Promise<string> {
    await this.visit("api-keys/", "Create New Key");
    await this.page
      .getByRole("button", { name: /create new key/i })
      .first()
      .click();
    await this.page.locator("[name=key_alias]").fill(name);
    await this.page.getByRole("button", { name: "Create Key", exact: true }).click();
    return (await this.page.locator("pre", { hasText: /^sk-/ }).textContent()) ?? "";
  }

  /** How often the page shows this text. */
  shows(text: string | RegExp): Promise<number> {
    return this.page.getByText(text).filter({ visible: true }).count();
  }
}
