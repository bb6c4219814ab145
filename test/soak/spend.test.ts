import { output } from "../../platform/process";
import { isHealthy } from "../load/blows";
import { type LoadBox, mustSucceed, type Sections } from "../load/box";
import { goodChange } from "../load/scene";
import {
  type Bill,
  type Books,
  declaredKey,
  everyBook,
  openPaidBox,
  Payers,
  readBooks,
  settledBooks,
} from "../load/spend";
import { allocate } from "../support/allocate";
import { needs } from "../support/needs";
import { gatewaySql } from "../support/postgres";
import { gpubox, placeProject } from "../support/project";
import { type SmallDisk, smallDisk } from "../support/smallDisk";
import { pause, until } from "../support/wait";

const MINUTE = 60_000;
/** A gateway writes every 1 to 6 seconds. */
const WRITTEN_MS = 8000;
/** User and group of the database's container. */
const POSTGRES = "999:999";
/** Cents. */
const BUDGET = 300;
const SMALL_BUDGET = 50;
const { stack: STACK, port: PORT } = allocate("ledger");

needs(
  "docker",
  "pulumi",
  "root",
  "a loop device",
)("spend of clients on two replicas with Redis", () => {
  let box: LoadBox;
  let key: string;

  let disk: SmallDisk;

  beforeAll(async () => {
    disk = await smallDisk("ledger", "2G");
    await output("chown", [POSTGRES, disk.path]);
    box = await openPaidBox(STACK, PORT, {
      release: {
        place: placeProject,
        up: async (project) => {
          const bind = ["type=none", "o=bind", `device=${disk.path}`].flatMap((one) => ["--opt", one]);
          await output("docker", ["volume", "create", ...bind, `gpubox-${STACK}-database`]);
          return gpubox(project, "up", "--yes");
        },
      },
    });
    key = await declaredKey(box);
  }, 30 * MINUTE);
  afterAll(async () => {
    box?.close();
    await disk?.remove();
  });

  /** What was paid for while something happened, and what each book says of it. */
  async function duringWhich(happens: (payers: Payers) => Promise<void>) {
    const before = await readBooks(box, key);
    const payers = await Payers.start(box);
    let bill: Bill;
    try {
      await pause(5000, "clients are at work");
      await happens(payers);
    } finally {
      bill = await payers.stop();
    }
    const after = await settledBooks(box, key, before.key + bill.answered, 120);
    const books = Object.fromEntries(
      Object.entries(after).map(([book, cents]) => [book, cents - before[book as keyof Books]]),
    );
    console.info(JSON.stringify({ bill, books }));
    return { bill, books };
  }

  /** Clients get answers, and both replicas have had the time for theirs. */
  async function foundAgain(payers: Payers): Promise<void> {
    const before = payers.answered;
    await until("clients are answered again", () => payers.answered > before + 50, { seconds: 180 });
  }

  test(
    "is exact after a minute without the database",
    async () => {
      const database = `gpubox-${STACK}-database`;
      const { bill, books } = await duringWhich(async (payers) => {
        await output("docker", ["stop", database]);
        await pause(MINUTE, "the minute without a database");
        await output("docker", ["start", database]);
        await foundAgain(payers);
      });
      expect(bill.answered).toBeGreaterThan(50);
      expect(books).toEqual(everyBook(bill.answered));
    },
    10 * MINUTE,
  );

  test(
    "is exact after a minute in which Postgres' disk was full, and `doctor` tells it",
    async () => {
      const { bill, books } = await duringWhich(async (payers) => {
        await disk.fill(0);
        await pause(MINUTE, "the minute in which nothing can be written");
        const { code, stdout } = await gpubox(box.project, "doctor");
        console.info(stdout);
        expect([code, stdout]).toEqual([1, expect.stringContaining(`Only 0.0 GiB are free for /`)]);
        disk.free();
        await foundAgain(payers);
      });
      expect(bill.answered).toBeGreaterThan(50);
      expect(books).toEqual(everyBook(bill.answered));
    },
    10 * MINUTE,
  );

  test(
    "lacks only what a gateway that is killed had answered in its last seconds, in every book",
    async () => {
      let last = 0;
      const { bill, books } = await duringWhich(async (payers) => {
        await pause(15_000, "the gateway has written more than once");
        const before = payers.answered;
        await pause(WRITTEN_MS, "the longest time from an answer until its spend is written");
        const [killed] = box.serving().split(",");
        // The process and not the container, which `docker kill` stops for good.
        const pid = await box.mainProcess(killed!);
        process.kill(pid, "SIGKILL");
        last = payers.answered - before;
        const back = async () =>
          ![0, pid].includes(await box.mainProcess(killed!)) && (await isHealthy(killed!));
        await until("the killed one is back, and the other went on", back, { seconds: 180 });
      });
      // A gateway writes each of them by itself.
      for (const cents of Object.values(books)) {
        expect(cents).toBeLessThanOrEqual(bill.answered + bill.unsure);
        expect(cents).toBeGreaterThanOrEqual(bill.answered - last);
      }
    },
    10 * MINUTE,
  );

  /** Cents that clients spend until a budget refuses them, and how many they spend in a second. */
  async function untilRefused(): Promise<{ cents: number; perSecond: number }> {
    const start = performance.now();
    let seconds = 0;
    const { bill } = await duringWhich(async (payers) => {
      await until("a budget refuses", () => payers.refused > 50, { seconds: 300, everyMs: 250 });
      seconds = (performance.now() - start) / 1000;
      let before = -1;
      const unchanged = () => {
        const same = before === payers.answered;
        before = payers.answered;
        return same;
      };
      await until("nothing is left of it", unchanged, { everyMs: 3000 });
    });
    return { cents: bill.answered, perSecond: bill.answered / seconds };
  }

  test.each(["keys", "teams"] as const)(
    "goes beyond the budget of one of the %s by the price of two requests",
    async (kind) => {
      const { [kind === "keys" ? "key" : "team"]: spent } = await readBooks(box, key);
      const budget = (cents?: number) =>
        box.change((config) => {
          const [entry] = Object.values(config["gpubox:access"]![kind] as Sections);
          if (cents === undefined) delete entry!.budgetUsd;
          else entry!.budgetUsd = cents / 100;
        });
      mustSucceed(await budget(spent + SMALL_BUDGET));
      const { cents } = await untilRefused();
      console.info(JSON.stringify({ kind, budget: SMALL_BUDGET, cents }));
      mustSucceed(await budget());
      expect(cents).toBeGreaterThan(SMALL_BUDGET - 8);
      expect(cents).toBeLessThanOrEqual(SMALL_BUDGET + 2);
    },
    10 * MINUTE,
  );

  /** Each gateway reads what all have spent once in that time, and counts what it answers itself. */
  test.each([
    { cachedSeconds: 60, general: {} },
    { cachedSeconds: 5, general: { user_api_key_cache_ttl: 5 } },
  ])(
    "goes beyond the budget of the whole gateway only by what its clients spend in $cachedSeconds s and until it is written",
    async ({ cachedSeconds, general }) => {
      const spent = await gatewaySql(
        { prefix: `gpubox-${STACK}` },
        `SELECT coalesce(max(round(spend * 100)), 0) FROM "LiteLLM_UserTable" WHERE user_id = 'litellm-proxy-budget'`,
      );
      await goodChange(box, (config) => {
        const limits = { budget: { usd: (Number(spent) + BUDGET) / 100, per: "1d" } };
        Object.assign(config["gpubox:gateway"]!, { limits, settings: { general } });
      });
      const { cents, perSecond } = await untilRefused();
      console.info(JSON.stringify({ cachedSeconds, budget: BUDGET, cents, perSecond }));
      expect(cents).toBeGreaterThanOrEqual(BUDGET);
      expect((cents - BUDGET) / perSecond).toBeLessThan(cachedSeconds + WRITTEN_MS / 1000);
    },
    10 * MINUTE,
  );
});
