import { writeFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page, type Request } from "playwright-core";
import { shellQuote } from "../../configs/kit/text";
import { scratch } from "./allocate";
import { removeFolder } from "./leftovers";
import { until } from "./wait";

const CHROMIUM = "/usr/bin/chromium";

/** What a browser reaches: names without DNS with their addresses, and servers as `address:port`. */
export interface Reach {
  hosts: Record<string, string>;
  servers: string[];
}

/** Debian's Chromium, without a window, on a network that no other test changes ({@link Reach} is all that it has). */
export async function startBrowser({ hosts, servers }: Reach): Promise<Browser> {
  const folder = scratch("browser");
  const relays = servers.map((server) => relay(join(folder, server), server));
  const launcher = join(folder, "chromium");
  const words = [join(__dirname, "browserNetwork.mjs"), folder, servers.join(","), CHROMIUM].map(shellQuote);
  const namespace = userInfo().uid === 0 ? "--net" : "--map-root-user --net";
  writeFileSync(launcher, `#!/bin/sh\nexec unshare ${namespace} node ${words.join(" ")} "$@"\n`, {
    mode: 0o700,
  });
  const rules = Object.entries(hosts).map(([name, address]) => `MAP ${name} ${address}`);
  const browser = await chromium.launch({
    executablePath: launcher,
    // Chromium's sandbox refuses root, and a container's /dev/shm is small.
    chromiumSandbox: userInfo().uid !== 0,
    args: ["--disable-dev-shm-usage", "--disable-gpu", `--host-resolver-rules=${rules.join(",")}`],
  });
  browser.on("disconnected", () => {
    for (const one of relays) one.close();
    removeFolder(folder);
  });
  return browser;
}

/** Brings what comes by a Unix socket to a server. */
function relay(socket: string, server: string): Server {
  const [host, port] = server.split(":");
  return createServer((page) => {
    const box = connect(Number(port), host);
    page.pipe(box).pipe(page);
    page.on("error", () => box.destroy());
    box.on("error", () => page.destroy());
  }).listen(socket);
}

/** One person's session at LiteLLM's UI. */
export class UiSession {
  /** What the browser asked of other hosts than the UI's own. */
  readonly outside: string[] = [];
  /** Requests without an answer, and why: what a page that never shows something waits for. */
  private readonly unanswered = new Map<Request, string>();

  private constructor(
    readonly origin: string,
    readonly context: BrowserContext,
    readonly page: Page,
  ) {
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.protocol.startsWith("http") && url.origin !== origin) this.outside.push(request.url());
      this.unanswered.set(request, "open");
    });
    page.on("requestfinished", (request) => this.unanswered.delete(request));
    page.on("requestfailed", (request) =>
      this.unanswered.set(request, request.failure()?.errorText ?? "failed"),
    );
  }

  /** @param origin of the admin port: `http://127.0.0.1:4001` */
  static async open(browser: Browser, origin: string): Promise<UiSession> {
    const context = await browser.newContext({
      viewport: { width: 1400, height: 900 },
      // What moves is drawn without a graphics card, at a tenth of a core.
      reducedMotion: "reduce",
      // The certificate's authority is the test's own, and the TLS tests check the chain.
      ignoreHTTPSErrors: true,
    });
    context.setDefaultTimeout(60_000);
    return new UiSession(origin, context, await context.newPage());
  }

  /**
   * Opens a page of the UI.
   *
   * @param ready a text that only the finished page has
   */
  async visit(path: string, ready?: string | RegExp): Promise<void> {
    await this.page.goto(`${this.origin}/ui/${path}`, { waitUntil: "domcontentloaded" });
    if (ready) await this.sees(ready);
  }

  /** Waits for a text on the page, and loads it again where it does not come: the UI asks once for what it shows. */
  async sees(text: string | RegExp): Promise<void> {
    const shown = async () => {
      try {
        await this.page.getByText(text).first().waitFor({ timeout: 20_000 });
        return true;
      } catch {
        await this.page.reload({ waitUntil: "domcontentloaded" }).catch(() => undefined);
        return false;
      }
    };
    await until(`the page shows ${text}`, shown, { seconds: 150 }).catch(async (error: Error) => {
      throw new Error(`${error.message}\n${await this.state()}`);
    });
  }

  /** What the page says, and what it waits for. */
  private async state(): Promise<string> {
    const requests = [...this.unanswered].map(
      ([request, why]) => `${request.method()} ${request.url()}: ${why}`,
    );
    const text = await this.page.locator("body").ariaSnapshot({ timeout: 5_000 }).catch(String);
    return [this.page.url(), ...requests, text.slice(0, 1_000)].join("\n");
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
    const key = this.page.locator("pre", { hasText: /^sk-/ });
    return (
      (await key.textContent().catch(async (error: Error) => {
        throw new Error(`${error.message}\n${await this.state()}`);
      })) ?? ""
    );
  }

  /** How often the page shows this text. */
  shows(text: string | RegExp): Promise<number> {
    return this.page.getByText(text).filter({ visible: true }).count();
  }
}
