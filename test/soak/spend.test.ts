import { output } from "../../platform/process";
import type { LoadBox } from "../load/box";
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
import { pause } from "../support/wait";

const MINUTE = 60_000;
/** A gateway writes every 1 to 6 seconds. */
const WRITTEN_MS = 8000;
const { stack: STACK, port: PORT } = allocate("ledger");

needs("docker", "pulumi")("spend of clients on two replicas with Redis", () => {
  let box: LoadBox;
  let key: string;

  beforeAll(async () => {
    box = await openPaidBox(STACK, PORT);
    key = await declaredKey(box);
  }, 30 * MINUTE);
  afterAll(() => box?.close());

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
});
