import { output } from "../../platform/process";
import type { LoadBox } from "../load/box";
import { goodChange } from "../load/scene";
import {
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
    await pause(5000, "clients are at work");
    await happens(payers);
    const bill = await payers.stop();
    const after = await settledBooks(box, key, before.key + bill.answered, 120);
    const books = Object.fromEntries(
      Object.entries(after).map(([book, cents]) => [book, cents - before[book as keyof Books]]),
    );
    console.info(JSON.stringify({ bill, books }));
    return { bill, books };
  }

  test(
    "is exact after a minute without the database",
    async () => {
      const database = `gpubox-${STACK}-database`;
      const { bill, books } = await duringWhich(async () => {
        await output("docker", ["stop", database]);
        await pause(MINUTE, "the minute without a database");
        await output("docker", ["start", database]);
        await pause(30_000, "gateways find it again");
      });
      expect(bill.answered).toBeGreaterThan(50);
      expect(books).toEqual(everyBook(bill.answered));
    },
    10 * MINUTE,
  );

  test(
    "is exact after a minute in which Postgres' disk was full, and `doctor` tells it",
    async () => {
      const { bill, books } = await duringWhich(async () => {
        await disk.fill(0);
        await pause(MINUTE, "the minute in which nothing can be written");
        const { code, stdout } = await gpubox(box.project, "doctor");
        console.info(stdout);
        expect(code).toBe(1);
        disk.free();
        await pause(45_000, "Postgres starts, and gateways find it again");
      });
      expect(bill.answered).toBeGreaterThan(50);
      expect(books).toEqual(everyBook(bill.answered));
    },
    10 * MINUTE,
  );

  test(
    "lacks only what a gateway that is killed had answered in its last seconds, in every book the same",
    async () => {
      let last = 0;
      const { bill, books } = await duringWhich(async (payers) => {
        await pause(15_000, "the gateway has written more than once");
        const before = payers.answered;
        await pause(WRITTEN_MS, "the longest time from an answer until its spend is written");
        await output("docker", ["kill", "--signal", "KILL", box.serving().split(",")[0]!]);
        last = payers.answered - before;
        await pause(15_000, "the other one goes on, and the killed one is back");
      });
      expect(new Set(Object.values(books)).size).toBe(1);
      expect(books.key).toBeLessThanOrEqual(bill.answered + bill.unsure);
      expect(books.key).toBeGreaterThanOrEqual(bill.answered - last);
    },
    10 * MINUTE,
  );

  test(
    "goes beyond the budget of the whole gateway only by what its clients spend within seconds",
    async () => {
      await goodChange(box, (config) => {
        config["gpubox:gateway"]!.limits = { budget: { usd: BUDGET / 100, per: "1d" } };
      });
      const start = performance.now();
      let spending = 0;
      const { bill } = await duringWhich(async (payers) => {
        await until("the budget is used up", () => payers.refused > 50, { seconds: 120, everyMs: 250 });
        spending = (performance.now() - start) / 1000;
      });
      console.info(JSON.stringify({ budget: BUDGET, answered: bill.answered, spending }));
      expect(bill.answered).toBeGreaterThanOrEqual(BUDGET);
      expect((bill.answered - BUDGET) / (bill.answered / spending)).toBeLessThan(WRITTEN_MS / 1000);
    },
    10 * MINUTE,
  );
});
