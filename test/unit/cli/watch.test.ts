import { watch } from "../../../cli/watch";
import { UserError } from "../../../platform/process";
import { until } from "../../support/wait";

/** A terminal that keeps what was written. */
function terminal(isTTY: boolean) {
  const written: string[] = [];
  return {
    written,
    screen: { isTTY, columns: 12, rows: 4, writable: true, write: (text: string) => written.push(text) },
  };
}

const lines = {
  picture: (seen: string) => seen.split("|"),
  trouble: ({ what, fix }: UserError) => [what, fix],
};
/** Seconds between two looks. */
const SOON = 0.01;
/** As a signal does. Jest's own listeners are none of SIGTERM. */
const stop = () => process.emit("SIGTERM");
const frame = (...rows: string[]) =>
  `\u001b[?2026h\u001b[H${rows.map((row) => `${row}\u001b[K`).join("\r\n")}\r\n\u001b[J\u001b[?2026l`;

test("each look takes the place of the one before, cut to the terminal, which is given back with the last one", async () => {
  const { written, screen } = terminal(true);
  const looks = ["one|two", "far too wide for it|b|c|d|e"];
  const done = watch(SOON, async () => looks.shift() ?? new Promise<string>(() => {}), lines, screen);
  await until("two looks are shown", () => written.length === 2);
  stop();
  await done;
  expect(written).toEqual([
    `\u001b[?1049h\u001b[?25l${frame("one", "two")}`,
    frame("far too wid", "b", "c"),
    "\u001b[?25h\u001b[?1049lfar too wide for it\nb\nc\nd\ne\n",
  ]);
});

test("a look that fails is said above the last one that did not, and looks go on", async () => {
  const { written, screen } = terminal(true);
  let turn = 0;
  const look = async () => {
    turn += 1;
    if (turn === 2) throw new UserError("Gone.", "Wait.");
    return `look ${turn}`;
  };
  const done = watch(SOON, look, lines, screen);
  await until("three looks are shown", () => written.length >= 3);
  stop();
  await done;
  expect(written.slice(1, 3)).toEqual([frame("Gone.", "Wait.", ""), frame("look 3")]);
});

test("a first look that fails ends it, and the terminal is as it was", async () => {
  const { written, screen } = terminal(true);
  const look = () => Promise.reject(new UserError("Gone.", "Wait."));
  await expect(watch(SOON, look, lines, screen)).rejects.toThrow("Gone. Wait.");
  expect(written).toEqual([]);
});

test("a look that hangs keeps nobody from leaving", async () => {
  const { written, screen } = terminal(true);
  let looked = false;
  const hang = () => {
    looked = true;
    return new Promise<string>(() => {});
  };
  const done = watch(SOON, hang, lines, screen);
  await until("it looks", () => looked);
  stop();
  await done;
  expect(written).toEqual([]);
});

test("without a terminal each look is printed below the one before, until nobody reads", async () => {
  const { written, screen } = terminal(false);
  const look = async () => {
    if (written.length === 1) screen.writable = false;
    return "a|b";
  };
  await watch(SOON, look, lines, screen);
  expect(written).toEqual(["a\nb\n", "a\nb\n"]);
});
