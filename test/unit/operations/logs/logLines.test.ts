import { lineForPeople, mentions, parseLogLine, redactor } from "../../../../operations/logs/logLines";

const source = { container: "gpubox-test-gateway", role: "gateway" };
const at = "2026-11-21T13:44:23.126662498Z";

test("a LiteLLM line becomes its message and level, without its stack trace", () => {
  const said = JSON.stringify({ message: "no such model", level: "ERROR", stacktrace: "Traceback" });
  expect(parseLogLine(`${at} ${said}`, source)).toEqual({
    at,
    ...source,
    level: "ERROR",
    text: "no such model",
  });
  expect(parseLogLine(`${at} ${said}`, { ...source, raw: true })).toEqual({ at, ...source, text: said });
});

test("other lines are kept as they are; a banner and empty lines are not", () => {
  expect(parseLogLine(`${at} {"a": 1}`, source)?.text).toBe('{"a": 1}');
  expect(parseLogLine(`${at} {no json`, source)?.text).toBe("{no json");
  expect(parseLogLine(`${at}    ██╗  `, source)).toBeUndefined();
  expect(parseLogLine(`${at} `, source)).toBeUndefined();
  expect(parseLogLine("no time", source)).toBeUndefined();
});

test("a line mentions a model when it contains the name as a whole word", () => {
  for (const text of ["model=tiny. Call", "model group 'tiny' failed", "tiny", "(tiny)"])
    expect([text, mentions(text, ["tiny"])]).toEqual([text, true]);
  for (const text of ["tiny-2", "my-tiny", "tinny", "tiny/x", "tiny.5"])
    expect([text, mentions(text, ["tiny"])]).toEqual([text, false]);
  expect(mentions("model=qwen3.5 failed", ["qwen3.5"])).toBe(true);
  expect(mentions("model=qwen305 failed", ["qwen3.5"])).toBe(false);
});

test("known secrets and anything like a key are hidden", () => {
  const redact = redactor(["hunter22", "hunter2222", "x"]);
  expect(redact("a hunter2222 b hunter22 c x")).toBe("a [secret] b [secret] c x");
  expect(redact("key=sk-proj-abcDEF_123 risk-averse sk-1")).toBe("key=sk-[…] risk-averse sk-1");
});

test("a line for people has no control characters and shows only levels worse than usual", () => {
  const line = { at, ...source, level: "ERROR", text: "bad\n\u001b[31mred" };
  expect(lineForPeople(line, 8)).toBe("13:44:23.126  gateway   ERROR bad [31mred");
  expect(lineForPeople({ ...line, level: "INFO" }, 8)).toBe("13:44:23.126  gateway   bad [31mred");
});
