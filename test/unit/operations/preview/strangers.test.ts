import { strangerNotes } from "../../../../operations/preview/strangers";

const use = { totalMiB: 24_576, usedMiB: 20_000 };
const one = (pid: number, usedMiB: number, container?: string) => ({
  ...{ gpu: "GPU-aa", pid, name: "python3", usedMiB },
  ...(container && { container }),
});

test("the box's own containers are no strangers", () => {
  expect(strangerNotes([{ id: "0", use, processes: [one(1, 18_000, "own")] }], ["own"])).toEqual([]);
});

test("what is not of this box is named with its memory, and whether the models fit beside it", () => {
  const processes = [one(1, 18_000, "own"), one(7, 3_000), one(8, 1_000, "another box's")];
  expect(strangerNotes([{ id: "0", use, processes }], ["own"])).toEqual([
    "GPU 0 is used by python3 (pid 7) and python3 (pid 8), not of this box: 4000 MiB now; the models fit beside that as long as it does not grow.",
  ]);
  expect(strangerNotes([{ id: "GPU-aa", use, processes: [one(7, 5_000)] }], [])).toEqual([
    "GPU GPU-aa is used by python3 (pid 7), not of this box: 5000 MiB now; the models need 20000 of its 24576 MiB and do not fit beside that: end it, or declare less memoryGiB.",
  ]);
});
