import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { request } from "node:https";
import { userInfo } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { output } from "../../platform/process";
import { findPulumi, pulumiOutput, selectStack } from "../../platform/pulumi/engine";
import { allocate } from "../support/allocate";
import { exportsIn, inShell } from "../support/box";
import { startBrowser, UiSession } from "../support/browser";
import { makeAuthority, makeCertificate } from "../support/certificates";
import { LocalSshd, SSHD } from "../support/localSshd";
import { needs } from "../support/needs";
import { OidcProvider } from "../support/oidcProvider";
import { gpubox, makeProject, removeProject, type TestProject, writeStack } from "../support/project";
import { until } from "../support/wait";
import { signers, singleSignOn } from "./adminUi/signOn";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("ui");
const [SSHD_PORT, TUNNEL_PORT, PROVIDER_PORT] = [PORT + 10, PORT + 11, PORT + 12];
const HOST = "box.test";
/** Where people sign in at the provider, and come back to. */
const SIGN_ON = `https://${HOST}:${PORT + 1}`;
const PEOPLE = { models: ["tiny"], budgetUsd: 0.05 };
/** At this price the test model's answer to one ping costs three cents. */
const PRICE = { inputPerMillion: 1000, outputPerMillion: 1000 };
const PING = "$0.0300";

needs(
  "docker",
  "pulumi",
  "chromium",
  "openssl",
  SSHD,
)("LiteLLM's UI in a browser", () => {
  let project: TestProject;
  let browser: Browser;
  let admin: UiSession;
  let certificate: string;
  let address: string;
  let password: string;
  let provider: OidcProvider;
  let made = 0;
  /** A second try of a test may not make the key that the first one made. */
  const fresh = (name: string) => `${name}-${++made}`;

  beforeAll(async () => {
    const bridge = await output("ip", ["-4", "-oneline", "address", "show", "docker0"]);
    address = /inet ([\d.]+)/.exec(bridge)![1]!;
    const authority = makeAuthority();
    const own = makeCertificate({ names: [HOST], by: authority });
    certificate = authority.certificate;
    project = makeProject(STACK, PORT);
    provider = new OidcProvider(address, PROVIDER_PORT, signers);
    provider.redirect = `${SIGN_ON}/sso/callback`;
    await provider.start();
    const tls = { certificate: join(project.dir, "tls.pem"), key: join(project.dir, "tls.key") };
    writeFileSync(tls.certificate, own.certificate);
    writeFileSync(tls.key, own.key, { mode: 0o600 });
    writeStack(project, {
      host: { dataDir: project.dataDir },
      gateway: {
        ...{ port: PORT, drainTimeout: 30, bind: address, hosts: [HOST] },
        ...{ admin: { bind: address }, tls },
      },
      models: { tiny: { engine: "llamacpp", model: "canned", memoryMiB: 2048, threads: 1, price: PRICE } },
      database: { mode: "bundled" },
      access: {
        teams: { research: { budgetUsd: 100 } },
        keys: { alice: { key: { secret: "aliceKey" }, team: "research" } },
        users: {
          dana: { email: "dana@example.com", ...PEOPLE },
          erin: { email: "erin@example.com", ...PEOPLE },
        },
        ui: { username: "operator", password: { secret: "uiPassword" } },
        sso: {
          ...{ url: SIGN_ON, clientId: provider.client.id, clientSecret: { secret: "ssoSecret" } },
          ...{ authorizationUrl: `${provider.url}/authorize`, tokenUrl: `${provider.url}/token` },
          ...{ userinfoUrl: `${provider.url}/userinfo`, unencrypted: true },
          newcomers: { emailDomains: ["new.example"], budgetUsd: 1 },
        },
      },
    });
    const engine = (await findPulumi(project.dir))!;
    await selectStack(engine, STACK);
    const words = ["config", "set", "--secret", "gpubox:ssoSecret", "--stack", STACK];
    await pulumiOutput(engine, words, { stdin: provider.client.secret });
    const up = await gpubox(project, "up", "--yes");
    expect(up.stderr).toBe("");
    const secret = async (name: string) => {
      const get = `pulumi config get gpubox:${name} --stack ${STACK}`;
      return (await inShell(project, exportsIn(up.stdout), get)).stdout.trim();
    };
    password = await secret("uiPassword");
    browser = await startBrowser({
      hosts: { [HOST]: address },
      servers: [
        ...[`${address}:${PORT + 1}`, `${address}:${PROVIDER_PORT}`],
        ...[`127.0.0.1:${PORT + 1}`, `127.0.0.1:${TUNNEL_PORT}`],
      ],
    });
    admin = await UiSession.open(browser, `http://127.0.0.1:${PORT + 1}`);
  }, 20 * MINUTE);
  afterAll(async () => {
    await browser?.close();
    provider?.stop();
    if (project) removeProject(project);
  }, MINUTE);

  /** One ping at the clients' port: the answer's text, or the status and body where there is none. */
  function ping(key: string): Promise<string> {
    const body = JSON.stringify({
      model: "tiny",
      messages: [{ role: "user", content: "ping" }],
      max_tokens: 16,
    });
    const headers = {
      host: `${HOST}:${PORT}`,
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
      "content-length": body.length,
    };
    const to = { host: address, port: PORT, servername: HOST, ca: certificate };
    return new Promise((resolve, reject) => {
      const sent = request({ ...to, path: "/v1/chat/completions", method: "POST", headers }, (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part: Buffer) => parts.push(part));
        answer.on("end", () => {
          const text = Buffer.concat(parts).toString();
          resolve(
            answer.statusCode === 200
              ? JSON.parse(text).choices[0].message.content
              : `${answer.statusCode} ${text}`,
          );
        });
      });
      sent.on("error", reject).end(body);
    });
  }

  test(
    "lets in who has the password that `up` made, nobody else, and asks no other host for anything",
    async () => {
      await admin.visit("login/", "Password");
      expect(await admin.login("operator", "not-the-password")).toBe(401);
      await admin.page.getByText("Invalid credentials").waitFor();
      expect(await admin.login("operator", password)).toBe(200);
      await admin.page.waitForURL(`${admin.origin}/ui/?login=success`);
      await admin.sees("Create New Virtual Key");
      expect(admin.outside).toEqual([]);
    },
    3 * MINUTE,
  );

  test(
    "lists the models, and finds them healthy",
    async () => {
      await admin.visit("models-and-endpoints/", "hosted_vllm/tiny");
      expect(await admin.shows("$1000.00")).toBeGreaterThan(0);
      await admin.page.getByRole("tab", { name: "Health Status" }).click();
      await admin.page.getByRole("button", { name: "Run All Checks" }).click();
      await admin.page.getByText("healthy", { exact: true }).waitFor();
    },
    3 * MINUTE,
  );

  test(
    "makes a key that works at the clients' port, and shows its spend and its requests",
    async () => {
      const name = fresh("made-by-hand");
      const key = await admin.makeKey(name);
      expect(await ping(key)).toBe("pong from the gpubox test model");
      await admin.visit("logs/", name);
      await until(
        "the key's spend is shown",
        async () => {
          await admin.visit("api-keys/", name);
          const row = admin.page.getByRole("row", { name: new RegExp(name) });
          return (await row.textContent())?.includes(PING);
        },
        // A page is 2 s of the browser's CPU, and LiteLLM writes spend every ten seconds.
        { everyMs: 4000 },
      );
      expect(await admin.page.getByRole("row", { name: /alice.*research/s }).count()).toBe(1);
      expect(admin.outside).toEqual([]);
    },
    4 * MINUTE,
  );

  test(
    "is the same over TLS, where its session is for TLS alone, and through a tunnel of ssh",
    async () => {
      const host = new LocalSshd(STACK, SSHD_PORT);
      let tunnel: ChildProcess | undefined;
      try {
        await host.start();
        const forward = `127.0.0.1:${TUNNEL_PORT}:127.0.0.1:${PORT + 1}`;
        const known = ["-o", `UserKnownHostsFile=${join(host.dir, "known")}`, "-i", join(host.dir, "key")];
        const to = ["-p", String(SSHD_PORT), `${userInfo().username}@127.0.0.1`];
        tunnel = spawn("ssh", ["-F", "/dev/null", "-N", "-L", forward, ...known, ...to], { stdio: "ignore" });
        for (const origin of [`https://${HOST}:${PORT + 1}`, `http://127.0.0.1:${TUNNEL_PORT}`]) {
          const ui = await UiSession.open(browser, origin);
          await ui.visit("login/", "Password");
          expect(await ui.login("operator", "not-the-password")).toBe(401);
          expect(await ui.login("operator", password)).toBe(200);
          await ui.page.waitForURL(`${origin}/ui/?login=success`);
          await ui.sees("Create New Virtual Key");
          const name = fresh(`made-by-${new URL(origin).protocol.slice(0, -1)}`);
          expect(await ping(await ui.makeKey(name))).toBe("pong from the gpubox test model");
          await ui.visit("logs/", name);
          expect(ui.outside).toEqual([]);
          const cookies = (await ui.context.cookies()).filter(({ name }) => name === "token");
          expect(cookies.map(({ secure }) => secure)).toEqual(cookies.map(() => origin.startsWith("https")));
          expect(cookies).not.toEqual([]);
          await ui.context.close();
        }
      } finally {
        tunnel?.kill();
        await host.remove();
      }
    },
    4 * MINUTE,
  );

  test(
    "lets an invited person see what is theirs and make a key within their limits, and nothing more",
    async () => {
      const { stdout } = await gpubox(project, "people", "--invite", "dana");
      expect(stdout.trim()).toMatch(new RegExp(`^${SIGN_ON}/ui/onboarding\\?invitation_id=[0-9a-f-]+$`));
      const dana = await UiSession.open(browser, admin.origin);
      await dana.visit(`onboarding${new URL(stdout.trim()).search}`, "Claim your user account");
      // The page shows an empty form once more before it knows whose it is, and forgets what was typed.
      await dana.page.locator('input[type=email][value="dana@example.com"]').waitFor();
      await dana.page.locator("input[type=password]").fill("Correct-Horse-15-battery");
      await dana.page.getByRole("button", { name: "Sign Up" }).click();
      await dana.page.waitForURL(`${admin.origin}/ui/?login=success`);
      await dana.sees("of $0.05 budget");
      expect(await dana.shows("Internal Users")).toBe(0);

      const name = fresh("danas-editor");
      const key = await dana.makeKey(name);
      expect(await ping(key)).toBe("pong from the gpubox test model");
      // A key without a budget of its own ends with its person's.
      const refusal = await until(
        "the budget is used up",
        async () => /^4\d\d .*/s.exec(await ping(key))?.[0],
        { seconds: 120, everyMs: 1000 },
      );
      expect(refusal).toMatch(/budget/i);
      await dana.visit("api-keys/", name);
      expect(await dana.shows("alice")).toBe(0);
      await dana.visit("logs/", name);
      await dana.context.close();
    },
    4 * MINUTE,
  );

  singleSignOn({
    ...{ people: async () => (await gpubox(project, "people", "--json")).stdout, ping, fresh },
    ...{ browser: () => browser, provider: () => provider, origin: SIGN_ON },
  });
});
