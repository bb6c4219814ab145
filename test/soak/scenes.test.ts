import { LoadBox, STATEFUL } from "../load/box";
import { play, scenes, table } from "../load/play";
import { allocate } from "../support/allocate";
import { needs } from "../support/needs";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("soak");

/** These need more than a box of their own: one restarts the engine, under every other test. */
const NOT_HERE = ["daemon"];

needs("docker", "pulumi")("a box under load, scene by scene", () => {
  let box: LoadBox;

  beforeAll(async () => {
    box = await LoadBox.open(STACK, PORT, {}, undefined, STATEFUL);
  }, 20 * MINUTE);
  afterAll(() => box?.close());

  test.each(Object.keys(scenes).filter((name) => !NOT_HERE.includes(name)))(
    "%s",
    async (name) => {
      const row = await play(box, name);
      expect({ verdict: row.verdict, told: row.verdict === "FAILED" ? table([row]) : "" }).toEqual({
        verdict: expect.stringMatching(/passed|skipped/),
        told: "",
      });
    },
    30 * MINUTE,
  );
});
