import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import contract from "../contract/litellm/admin.json";

export type Row = Record<string, unknown>;

/** A call as it came in. */
export interface Call {
  method: string;
  path: string;
  query: Record<string, string>;
  body: Row;
}

const digest = (key: unknown) => createHash("sha256").update(String(key)).digest("hex");

/**
 * LiteLLM's admin routes over an own store, with LiteLLM's rules: what its OpenAPI does not know is refused, aliases, keys and
 * addresses are unique, a team and a person take their keys along when they are deleted.
 */
export class LitellmAdmin {
  readonly keys = new Map<string, Row>();
  readonly teams = new Map<string, Row>();
  readonly users = new Map<string, Row>();
  readonly calls: Call[] = [];
  /** Answers 500 to calls for which this is true. */
  broken: (call: Call) => boolean = () => false;
  private server?: Server;

  constructor(private readonly masterKey: string) {}

  async start(): Promise<string> {
    const server = createServer(async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part);
      const url = new URL(request.url ?? "", "http://stub");
      const text = Buffer.concat(parts).toString();
      const call = {
        method: request.method ?? "",
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        body: text ? (JSON.parse(text) as Row) : {},
      };
      this.calls.push(call);
      const authorized = request.headers.authorization === `Bearer ${this.masterKey}`;
      const [status, answer] = authorized ? this.answer(call) : [401, refused("wrong key")];
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
    });
    this.server = server;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.server?.closeAllConnections();
    this.server?.close();
  }

  /** The calls that changed something, as `path name`. */
  changes(): string[] {
    return this.calls.filter(({ method }) => method === "POST").map(({ path }) => path);
  }

  private answer(call: Call): [number, unknown] {
    const unknown = broken(call);
    if (unknown) return [422, refused(unknown)];
    if (this.broken(call)) return [500, refused(`could not, for ${call.body.key ?? "no key"}`)];
    try {
      return [200, this.handle(call)];
    } catch (error) {
      return [400, refused((error as Error).message)];
    }
  }

  private handle({ path, query, body }: Call): unknown {
    switch (path) {
      case "/team/list":
        return [...this.teams.values()];
      case "/key/list":
        return this.listKeys(query);
      case "/team/new":
        if (this.teams.has(String(body.team_id))) throw new Error("Team id already exists");
        this.teams.set(String(body.team_id), { spend: 0, ...body });
        return body;
      case "/team/update":
        return Object.assign(this.team(body.team_id), body);
      case "/team/delete":
        for (const id of body.team_ids as string[]) {
          this.team(id);
          this.teams.delete(id);
          for (const [token, key] of this.keys) if (key.team_id === id) this.keys.delete(token);
        }
        return body;
      case "/key/generate":
        return this.generate(body);
      case "/key/update":
        return this.update(body);
      case "/key/delete":
        for (const token of body.keys as string[])
          if (!this.keys.delete(token)) throw new Error("Key not found");
        return body;
      case "/user/list":
        return { users: [...this.users.values()], total_pages: 1 };
      case "/user/new":
        return this.newUser(body);
      case "/user/update":
        return Object.assign(this.user(body.user_id), withoutNoModels(body));
      case "/user/delete":
        for (const id of body.user_ids as string[]) this.deleteUser(id);
        return body;
      case "/team/member_add":
        return this.members(body.team_id).push({ role: "user", user_id: this.user(member(body)).user_id });
      case "/team/member_delete":
        this.leave(body.team_id, body.user_id);
        return body;
      default:
        throw new Error(`no route ${path}`);
    }
  }

  private newUser({ auto_create_key: key, ...fields }: Row): Row {
    if (key !== false) throw new Error("nobody asked for a key");
    for (const user of this.users.values())
      if (user.user_email === fields.user_email)
        throw new Error(`User with email ${fields.user_email} already exists`);
    const user = { spend: 0, models: [], ...fields };
    this.users.set(String(fields.user_id), user);
    return user;
  }

  private deleteUser(id: string): void {
    this.user(id);
    this.users.delete(id);
    for (const [token, key] of this.keys) if (key.user_id === id) this.keys.delete(token);
    for (const team of this.teams.keys()) this.leave(team, id);
  }

  private leave(team: unknown, user: unknown): void {
    this.team(team).members_with_roles = this.members(team).filter(({ user_id }) => user_id !== user);
    for (const [token, key] of this.keys)
      if (key.user_id === user && key.team_id === team) this.keys.delete(token);
  }

  private members(id: unknown): Row[] {
    const team = this.team(id);
    team.members_with_roles ??= [];
    return team.members_with_roles as Row[];
  }

  private user(id: unknown): Row {
    const found = this.users.get(String(id));
    if (!found) throw new Error(`User not found, passed user_id=${id}`);
    return found;
  }

  private listKeys({ page = "1", size = "10", team_id: team, user_id: user }: Record<string, string>) {
    const all = [...this.keys.values()].filter(
      (key) => (!team || key.team_id === team) && (!user || key.user_id === user),
    );
    const from = (Number(page) - 1) * Number(size);
    return {
      keys: all.slice(from, from + Number(size)),
      total_count: all.length,
      current_page: Number(page),
      total_pages: Math.ceil(all.length / Number(size)),
    };
  }

  private generate({ key, duration, ...fields }: Row) {
    if (!String(key).startsWith("sk-")) throw new Error("Virtual Key must start with 'sk-'");
    if (String(key).length < contract.minimumKeyLength) throw new Error("the key is too short");
    const token = digest(key);
    if (this.keys.has(token)) throw new Error("Unique constraint failed on the fields: (`token`)");
    this.uniqueAlias(fields.key_alias, token);
    if (fields.team_id) this.team(fields.team_id);
    this.keys.set(token, { token, spend: 0, models: [], ...fields, expires: expiry(duration) });
    return { token };
  }

  private update({ key, duration, ...fields }: Row) {
    const token = String(key).startsWith("sk-") ? digest(key) : String(key);
    const row = this.keys.get(token);
    if (!row) throw new Error("Key not found");
    if (fields.key_alias !== undefined) this.uniqueAlias(fields.key_alias, token);
    if (fields.team_id) this.team(fields.team_id);
    Object.assign(row, fields, duration === undefined ? {} : { expires: expiry(duration) });
    return row;
  }

  private uniqueAlias(alias: unknown, token: string): void {
    for (const row of this.keys.values())
      if (row.key_alias === alias && row.token !== token)
        throw new Error(
          `Key with alias '${alias}' already exists. Unique key aliases across all keys are required.`,
        );
  }

  private team(id: unknown): Row {
    const found = this.teams.get(String(id));
    if (!found) throw new Error(`Team not found, passed team_id=${id}`);
    return found;
  }
}

const member = (body: Row) => (body.member as Row).user_id;

/** LiteLLM takes an empty list for one that was left out. */
function withoutNoModels({ models, ...fields }: Row): Row {
  return (models as unknown[] | undefined)?.length ? { models, ...fields } : fields;
}

interface Route {
  method: string;
  path: string;
  query?: Record<string, string[]>;
  body?: Record<string, string[]>;
  required?: string[];
}

/** Why LiteLLM's OpenAPI would not have this call; undefined when it would. */
export function broken({ method, path, query, body }: Call): string | undefined {
  const routes: Route[] = contract.routes as unknown as Route[];
  const route = routes.find((one) => one.method === method && one.path === path);
  if (!route) return `no route ${method} ${path}`;
  const wrong = (given: Row, known: Record<string, string[]>) =>
    Object.entries(given).find(([name, value]) => !known[name]?.some((type) => is(value, type)));
  const parsed = Object.fromEntries(Object.entries(query).map(([name, value]) => [name, parse(value)]));
  const found = wrong(parsed, route.query ?? {}) ?? wrong(body, route.body ?? {});
  if (found) return `${method} ${path} takes no ${found[0]}: ${JSON.stringify(found[1])}`;
  const missing = route.required?.find((name) => !(name in body));
  return missing && `${method} ${path} wants ${missing}`;
}

function is(value: unknown, type: string): boolean {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "integer") return Number.isInteger(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  return typeof value === type;
}

function parse(value: string): unknown {
  if (/^\d+$/.test(value)) return Number(value);
  return value === "true" || value === "false" ? value === "true" : value;
}

function expiry(duration: unknown): string | null {
  if (duration === undefined || duration === null || duration === "-1") return null;
  const seconds = /^(\d+)s$/.exec(String(duration))?.[1];
  if (!seconds) throw new Error(`Unsupported duration ${duration}`);
  return new Date(Date.now() + Number(seconds) * 1000).toISOString();
}

const refused = (message: string) => ({ error: { message } });
