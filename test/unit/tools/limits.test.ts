import { getState } from "jest-circus";
import { limited } from "../../support/limits";

const never = () => new Promise(() => {});

test("a test that waits for ever fails when its time is over", async () => {
  await expect(limited({ fn: never, timeout: 20 })()).rejects.toThrow("It took longer than 0.02 s.");
});

test("one that ends in time ends as it would without a limit", async () => {
  expect(await limited({ fn: () => "done", timeout: 60_000 })()).toBe("done");
  const failing = limited({ fn: () => Promise.reject(new Error("its own")), timeout: 60_000 });
  await expect(failing()).rejects.toThrow("its own");
});

describe("in the processes that test files share", () => {
  beforeAll(() => {});

  test("every test and hook has a limit", () => {
    const { children, hooks } = getState().rootDescribeBlock.children.at(-1) as unknown as {
      children: { fn: () => unknown }[];
      hooks: { fn: () => unknown }[];
    };
    expect([...children, ...hooks].map(({ fn }) => fn.name)).toEqual(["limitedStep", "limitedStep"]);
  });
});
