import { type LoadBox, setModel } from "../load/box";
import { goodChange } from "../load/scene";
import { declaredKey, everyBook, openPaidBox, Payers, settledBooks } from "../load/spend";
import { allocate } from "../support/allocate";
import { needs } from "../support/needs";
import { pause } from "../support/wait";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("spend");

/** What costs more time is in test/soak/spend.test.ts. */
needs("docker", "pulumi")("spend of clients on two replicas", () => {
  let box: LoadBox;

  beforeAll(async () => {
    box = await openPaidBox(STACK, PORT);
  }, 20 * MINUTE);
  afterAll(() => box?.close());

  test(
    "is exact after a switch and a drain under their requests: of the key, the team, the log and the days",
    async () => {
      const payers = await Payers.start(box, { clients: 3 });
      // Some are in flight on the old generation until its drain is over.
      const slow = await Payers.start(box, { clients: 2, seconds: 5 });
      await pause(1000, "spend that the old generation has not written yet");
      await goodChange(box, (config) => setModel(config, "extra", box.stubModel("extra")));
      const bills = await Promise.all([payers.stop(), slow.stop()]);
      for (const { refused, unsure, reasons } of bills)
        expect({ refused, unsure, reasons }).toEqual({ refused: 0, unsure: 0, reasons: [] });
      const answered = bills.reduce((sum, bill) => sum + bill.answered, 0);
      expect(answered).toBeGreaterThan(50);
      expect(await settledBooks(box, await declaredKey(box), answered)).toEqual(everyBook(answered));
    },
    5 * MINUTE,
  );
});
