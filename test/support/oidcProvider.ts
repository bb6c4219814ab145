import { createHash, createHmac, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";

/** What the provider says of a person at its userinfo endpoint. */
export interface Claims {
  sub: string;
  email?: string;
  email_verified?: boolean;
  [claim: string]: unknown;
}

interface Grant {
  claims: Claims;
  redirect: string;
  /** PKCE's, S256. */
  challenge: string | null;
}

/**
 * A provider of OpenID Connect: authorization code with PKCE, token, userinfo. Its login page has a button for each person. It
 * refuses another client, another secret or place to return to, a code that was used, and a wrong verifier.
 */
export class OidcProvider {
  readonly client = { id: "gpubox-test", secret: "PLANTED-oidc-secret" };
  /** The only place that people are sent back to. */
  redirect = "";
  /** Method, path and status of what was asked. */
  readonly asked: string[] = [];
  private readonly server: Server;
  private readonly codes = new Map<string, Grant>();
  private readonly tokens = new Map<string, Claims>();

  constructor(
    private readonly address: string,
    private readonly port: number,
    private readonly people: Claims[],
  ) {
    this.server = createServer(async (request, response) => {
      const url = new URL(request.url ?? "", this.url);
      const [status, body, location] = this.answer(request, url, new URLSearchParams(await textOf(request)));
      // A browser asks for an icon by itself.
      if (url.pathname !== "/favicon.ico") this.asked.push(`${request.method} ${url.pathname} ${status}`);
      const type = typeof body === "string" ? "text/html" : "application/json";
      response.writeHead(status, { "content-type": type, ...(location ? { location } : {}) });
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    });
  }

  get url(): string {
    return `http://${this.address}:${this.port}`;
  }

  async start(): Promise<void> {
    await once(this.server.listen(this.port, this.address), "listening");
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private answer(
    { method, headers }: IncomingMessage,
    url: URL,
    form: URLSearchParams,
  ): [status: number, body: unknown, location?: string] {
    const query = url.searchParams;
    if (url.pathname === "/authorize") {
      const redirect = query.get("redirect_uri") ?? "";
      if (query.get("client_id") !== this.client.id || redirect !== this.redirect)
        return [400, `unknown client or ${redirect}`];
      if (method === "GET") return [200, this.loginPage()];
      const claims = this.people.find(({ sub }) => sub === form.get("sub"))!;
      const code = randomUUID();
      this.codes.set(code, { claims, redirect, challenge: query.get("code_challenge") });
      const back = new URLSearchParams({ code, state: query.get("state") ?? "" });
      return [303, "", `${redirect}?${back}`];
    }
    if (url.pathname === "/token") return this.token(headers.authorization, form);
    const claims = this.tokens.get(headers.authorization?.replace("Bearer ", "") ?? "");
    return url.pathname === "/userinfo" && claims ? [200, claims] : [401, { error: "invalid_token" }];
  }

  private token(authorization: string | undefined, form: URLSearchParams): [number, unknown] {
    const grant = this.codes.get(form.get("code") ?? "");
    this.codes.delete(form.get("code") ?? "");
    const { id, secret } = this.client;
    const basic = `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}`;
    if (authorization !== basic && form.get("client_secret") !== secret)
      return [401, { error: "invalid_client" }];
    const verifier = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url");
    if (!grant || grant.redirect !== form.get("redirect_uri") || grant.challenge !== verifier)
      return [400, { error: "invalid_grant" }];
    const access = randomUUID();
    this.tokens.set(access, grant.claims);
    const token = { access_token: access, token_type: "Bearer", expires_in: 300 };
    return [200, { ...token, id_token: this.idToken(grant.claims) }];
  }

  private idToken(claims: Claims): string {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const now = Math.floor(Date.now() / 1000);
    const own = { iss: this.url, aud: this.client.id, iat: now, exp: now + 300 };
    const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ ...claims, ...own })}`;
    return `${text}.${createHmac("sha256", this.client.secret).update(text).digest("base64url")}`;
  }

  private loginPage(): string {
    const buttons = this.people.map(({ sub }) => `<button name="sub" value="${sub}">${sub}</button>`);
    return `<h1>Who are you?</h1><form method="post">${buttons.join("")}</form>`;
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}
