import { createHash } from "node:crypto";
import { gatewaySql } from "../support/postgres";
import { until } from "../support/wait";
import { LoadBox, type Release, STATEFUL, setModel } from "./box";

/** The stub counts a token for each character of its answer. Ten of them cost a cent. */
const CHARACTERS = 10;
const PRICE = { inputPerMillion: 0, outputPerMillion: 1000 };
const MODEL = "paid";
/** A key of the stack's config, with the team that pays with it. */
const KEY = "payer";
const TEAM = "payers";
const SECRET = "payerKey";

/** How another {@link openPaidBox} differs. */
interface Differences {
  /** The version of this project that brings it up first. */
  release?: Release;
  /** More settings of the gateway. */
  gateway?: Record<string, unknown>;
}

/** A box with keys and spend, two replicas and a model that costs one cent a request. */
export async function openPaidBox(
  stack: string,
  port: number,
  { release, gateway = {} }: Differences = {},
): Promise<LoadBox> {
  const sections = {
    ...STATEFUL,
    access: { teams: { [TEAM]: {} }, keys: { [KEY]: { key: { secret: SECRET }, team: TEAM } } },
    gateway,
  };
  return LoadBox.open(stack, port, {}, release, sections, (config, box) => {
    setModel(config, MODEL, { ...box.stubModel("echo"), price: PRICE, start: "manual" });
    config["gpubox:gateway"]!.replicas = 2;
  });
}

/** Requests that somebody has to pay for. */
export interface Bill {
  /** Whole answers: each costs a cent. */
  answered: number;
  /** Refused before the model was asked, because a budget is used up. */
  refused: number;
  /** All others, which the model may have answered or not. */
  unsure: number;
  reasons: string[];
}

/** How {@link Payers} ask. */
interface Habits {
  clients: number;
  /** How long an answer takes. */
  seconds: number;
  /** Tokens that the answer may have at most; it has ten. LiteLLM reserves what they would cost. */
  maxTokens: number;
  /** Default: the key of the stack's config. */
  key: string;
}

/** Clients that ask the paid model without pause until they are stopped. */
export class Payers {
  private readonly bill: Bill = { answered: 0, refused: 0, unsure: 0, reasons: [] };
  private stopping = false;
  private asked = 0;
  private readonly clients: Promise<void>[];

  private constructor(
    private readonly endpoint: string,
    private readonly habits: Habits,
  ) {
    this.clients = Array.from({ length: habits.clients }, () => this.pay());
  }

  static async start(box: LoadBox, habits: Partial<Habits> = {}): Promise<Payers> {
    const key = habits.key ?? (await declaredKey(box));
    const all = { clients: 8, seconds: 0.2, maxTokens: 16, ...habits, key };
    return new Payers(box.project.endpoint, all);
  }

  /** Whole answers until now. */
  get answered(): number {
    return this.bill.answered;
  }

  /** Refused until now, because a budget is used up. */
  get refused(): number {
    return this.bill.refused;
  }

  async stop(): Promise<Bill> {
    this.stopping = true;
    await Promise.all(this.clients);
    return this.bill;
  }

  private async pay(): Promise<void> {
    while (!this.stopping) {
      const nonce = `n${String(++this.asked).padStart(CHARACTERS - 5, "0")}x`;
      const reason = await this.ask(nonce).catch(String);
      if (reason === "") this.bill.answered += 1;
      else if (/budget/i.test(reason)) this.bill.refused += 1;
      else this.bill.unsure += 1;
      if (reason && this.bill.reasons.length < 10) this.bill.reasons.push(reason.slice(0, 200));
    }
  }

  /** Empty after the whole answer. */
  private async ask(nonce: string): Promise<string> {
    const { key, seconds, maxTokens } = this.habits;
    const content = `nonce=${nonce} chunks=1 interval=${seconds} fault=none`;
    const answer = await fetch(`${this.endpoint}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({
        model: MODEL,
        max_tokens: maxTokens,
        messages: [{ role: "user", content }],
      }),
    });
    const text = await answer.text();
    return answer.ok && text.includes(`${nonce}:0`) ? "" : `${answer.status} ${text}`;
  }
}

/** The key of the stack's config. */
export async function declaredKey(box: LoadBox): Promise<string> {
  return (await box.shell(`pulumi config get gpubox:${SECRET} --stack ${box.project.stack}`)).stdout.trim();
}

/** Cents that each of LiteLLM's books holds for a key. */
export interface Books {
  key: number;
  team: number;
  logs: number;
  daily: number;
  dailyTeam: number;
}

/** Books that all hold the same. */
export function everyBook(cents: number): Books {
  return { key: cents, team: cents, logs: cents, daily: cents, dailyTeam: cents };
}

export async function readBooks(box: LoadBox, key: string): Promise<Books> {
  const token = createHash("sha256").update(key).digest("hex");
  const sum = (table: string, column: string) =>
    `(SELECT coalesce(round(sum(spend * 100)), 0) FROM "${table}" WHERE ${column} = '${token}')`;
  const team = `(SELECT team_id FROM "LiteLLM_VerificationToken" WHERE token = '${token}')`;
  const rows = await gatewaySql(
    { prefix: `gpubox-${box.project.stack}` },
    `SELECT ${[
      sum("LiteLLM_VerificationToken", "token"),
      `(SELECT coalesce(round(sum(spend * 100)), 0) FROM "LiteLLM_TeamTable" WHERE team_id = ${team})`,
      sum("LiteLLM_SpendLogs", "api_key"),
      sum("LiteLLM_DailyUserSpend", "api_key"),
      sum("LiteLLM_DailyTeamSpend", "api_key"),
    ].join(", ")};`,
  );
  const [inKey, inTeam, logs, daily, dailyTeam] = rows.trim().split("|").map(Number);
  return { key: inKey!, team: inTeam!, logs: logs!, daily: daily!, dailyTeam: dailyTeam! };
}

/** The books once every one of them holds `cents`, or as they are after `seconds`. A database that was away may come back meanwhile. */
export async function settledBooks(box: LoadBox, key: string, cents: number, seconds = 60): Promise<Books> {
  let books: Books | undefined;
  const settled = async () => {
    books = (await readBooks(box, key).catch(() => undefined)) ?? books;
    return books !== undefined && Object.values(books).every((one) => one === cents);
  };
  await until("the books are settled", settled, { seconds, everyMs: 1000 }).catch(() => undefined);
  return books ?? readBooks(box, key);
}
