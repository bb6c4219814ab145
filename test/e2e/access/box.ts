import { z } from "zod";
import {
  type Answered,
  askReplica,
  call,
  gatewaysOf,
  type Rows,
  rowsOf,
  usageOf,
} from "../../support/access";
import { editStack, exportsIn, inShell } from "../../support/box";
import { gatewaySql } from "../../support/postgres";
import { gpubox, makeProject, removeProject, type TestProject } from "../../support/project";
import { until } from "../../support/wait";

/** The access section of a stack's file, as a person edits it. */
export interface Declared {
  keys: Record<string, Record<string, unknown>>;
  users: Record<string, Record<string, unknown>>;
}

/** A box with two gateways, Redis and Postgres, and what a person does at it. */
export class AccessBox {
  readonly project: TestProject;
  /** Ids of the gateways. */
  replicas: string[] = [];
  /** The secrets that are keys, by their names. */
  keys: Record<string, string> = {};
  private exports: string[] = [];

  constructor(
    readonly stack: string,
    readonly port: number,
    config: Record<string, unknown>,
  ) {
    this.project = makeProject(stack, port, config);
  }

  remove(): void {
    removeProject(this.project);
  }

  async start(): Promise<void> {
    this.exports = exportsIn(await this.done("up", "--yes"));
    await this.readKeys();
    this.replicas = await gatewaysOf(this.stack);
  }

  /** The output of a command that ends well. */
  async done(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await gpubox(this.project, ...words);
    expect({ words, code, said: code === 0 ? "" : stdout + stderr }).toEqual({ words, code: 0, said: "" });
    return stdout;
  }

  /** The same of a shell's command, with the variables that `gpubox up` named. */
  async shell(command: string): Promise<string> {
    const { code, stdout, stderr } = await inShell(this.project, this.exports, command);
    const said = code === 0 ? "" : stdout + stderr;
    expect({ command, code, said }).toEqual({ command, code: 0, said: "" });
    return stdout;
  }

  up(option = ""): Promise<string> {
    return this.shell(`pulumi up --yes --skip-preview --non-interactive --stack ${this.stack} ${option}`);
  }

  async readKeys(): Promise<void> {
    const text = await this.shell(`pulumi config --show-secrets --json --stack ${this.stack}`);
    const config = z.record(z.string(), z.object({ value: z.string().optional() })).parse(JSON.parse(text));
    const found = Object.entries(config).filter(([name]) => /(Key|KeyOld)$/.test(name));
    this.keys = Object.fromEntries(
      found.map(([name, { value = "" }]) => [name.replace("gpubox:", ""), value]),
    );
  }

  edit(change: (declared: Declared) => void): void {
    editStack(this.project, (config) =>
      change((config as unknown as { "gpubox:access": Declared })["gpubox:access"]),
    );
  }

  /** One call at the clients' port. */
  atClients(key: string, model = "tiny"): Promise<Answered> {
    return call(this.project.endpoint, key, model);
  }

  /** One call of each gateway. */
  async everywhere(key: string): Promise<Answered[]> {
    return (await Promise.all(this.replicas.map((one) => askReplica(one, key, 1)))).flat();
  }

  /** Until each gateway answers a call with this status. */
  answering(status: number, key: string): Promise<unknown> {
    const all = async () => (await this.everywhere(key)).every((one) => one.status === status);
    return until(`each gateway answers ${status}`, all, { everyMs: 500 });
  }

  /** A call of the admin API with the master key. */
  async admin(path: string, body: object): Promise<Record<string, unknown>> {
    const answer = await fetch(`http://127.0.0.1:${this.port + 1}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.keys.masterKey}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const said = await answer.text();
    expect({ path, status: answer.status, said: answer.status === 200 ? "" : said }).toEqual({
      ...{ path, status: 200, said: "" },
    });
    return z.record(z.string(), z.unknown()).parse(JSON.parse(said));
  }

  rows(): Promise<Rows> {
    return rowsOf(this.stack);
  }

  /** The declared people in the database. */
  async people(): Promise<Record<string, unknown>> {
    const found = await this.sql(
      `SELECT coalesce(json_object_agg(user_alias, json_build_object('email', user_email, 'role', user_role, 'teams', teams, 'models', models, 'budget', max_budget)), '{}') FROM "LiteLLM_UserTable" WHERE user_id LIKE 'gpubox-${this.stack}-%'`,
    );
    return z.record(z.string(), z.unknown()).parse(JSON.parse(found));
  }

  usage() {
    return usageOf(this.project);
  }

  sql(text: string): Promise<string> {
    return gatewaySql({ prefix: `gpubox-${this.stack}` }, text);
  }
}
