import { inUtc, sinceArgument } from "../../../platform/kubernetes/logs";

test.each([
  ["15m", "--since=15m"],
  ["1h30m", "--since=1h30m"],
  ["2026-11-01", "--since-time=2026-11-01T00:00:00.000Z"],
  ["2026-11-01T10:00:00+01:00", "--since-time=2026-11-01T09:00:00.000Z"],
  ["1793527200", "--since-time=2026-11-01T10:00:00.000Z"],
  ["15", undefined],
  ["7d", undefined],
  ["yesterday", undefined],
  ["", undefined],
])("the time %j in Docker's notation is kubectl's %j", (time, argument) => {
  expect(sinceArgument(time)).toBe(argument);
});

test.each([
  ["2026-11-01T00:30:00.123456789+01:00 said", "2026-10-31T23:30:00.123456789Z said"],
  ["2026-11-01T10:00:00-05:30 said", "2026-11-01T15:30:00Z said"],
  ["2026-11-01T10:00:00.5Z said", "2026-11-01T10:00:00.5Z said"],
  ["said at 2026-11-01T10:00:00+01:00 ", "said at 2026-11-01T10:00:00+01:00 "],
])("the line %j has its time in UTC: %j", (line, utc) => {
  expect(inUtc(line)).toBe(utc);
});
