import { buildState } from "../../../../operations/images/buildLog";

test("a build is as far as its last step, with its context and its last line", () => {
  const log =
    "Sending build context to Docker daemon  12.29kB\r\r\nStep 1/4 : ARG BASE\nStep 2/4 : FROM $BASE\n ---> 0123\n" +
    "Step 3/4 : RUN apt-get install haproxy\n ---> Running in 4567\n\u001b[91mSelecting haproxy\u001b[0m\n ══╝\n";
  const detail = "context 12.29kB, Selecting haproxy";
  expect(buildState(log)).toEqual({ done: 2, total: 4, unit: "steps", detail });
});

test("a script has no steps, and an empty log says nothing", () => {
  expect(buildState("I: Retrieving Packages\nI: Unpacking base\n")).toEqual({ detail: "I: Unpacking base" });
  expect(buildState("")).toEqual({});
});

test("a line that names a hundred packages is cut", () => {
  const line = `Successfully installed ${"package-1.0 ".repeat(100).trim()}`;
  const detail = `${line.slice(0, 100)}… (1122 more characters)`;
  expect(buildState(line)).toEqual({ detail });
});
