import { renderText } from "../../../configs/kit/text";
import type { BoxPlan } from "../../../configs/kit/types";
import { testPlan, testSecrets, tinyModel } from "../../support/stacks";

/** The time limits that HAProxy has in each of the box's edge and valves. */
function limits(values: Record<string, unknown>): Record<string, string[]> {
  const plan: BoxPlan = testPlan(values);
  const read = ({ files }: { files: BoxPlan["edge"]["directory"]["files"] }) =>
    renderText(files["haproxy.cfg"]!.text, testSecrets)
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => /^(timeout (client|server) (?!10s)|hard-stop-after)/.test(line));
  return {
    edge: read(plan.edge.directory),
    ...Object.fromEntries(plan.backends.map(({ model, valve }) => [model, read(valve.directory)])),
  };
}

const asBefore = ["hard-stop-after 60m", "timeout client 15m", "timeout server 15m"];
const waiting = (seconds: number, hardStop = "60m") => [
  `hard-stop-after ${hardStop}`,
  `timeout client ${seconds}s`,
  `timeout server ${seconds}s`,
];
const { tiny } = tinyModel;
const other = { ...tiny, model: "file:///srv/models/other.gguf" };

test("up to 15 minutes nothing waits longer than by default", () => {
  const routing = { timeoutSeconds: 900, streamTimeoutSeconds: 900 };
  expect(limits({ gateway: { routing }, models: { tiny: { ...tiny, timeoutSeconds: 900 }, other } })).toEqual(
    {
      ...{ edge: asBefore, tiny: asBefore, other: asBefore },
    },
  );
});

test("a model's longer time holds for its valve and for the edge, and lets both outlive a reload", () => {
  expect(limits({ models: { tiny: { ...tiny, timeoutSeconds: 7200 }, other } })).toEqual({
    ...{ edge: waiting(7230, "7230s"), tiny: waiting(7230, "7230s"), other: asBefore },
  });
});

test("the gateway's longer time holds for every valve whose model says nothing else", () => {
  const gateway = { routing: { timeoutSeconds: 1800 } };
  expect(limits({ gateway, models: { tiny, other: { ...other, timeoutSeconds: 60 } } })).toEqual({
    ...{ edge: waiting(1830), tiny: waiting(1830), other: asBefore },
  });
});

test("a job's longer time holds for the valve of its model alone", () => {
  const jobs = { eval: { upstream: { box: "small" }, port: 4101, timeoutSeconds: 3600 } };
  expect(limits({ jobs, models: { tiny: { ...tiny, aliases: ["small"] }, other } })).toEqual({
    ...{ edge: asBefore, tiny: waiting(3630, "3630s"), other: asBefore },
  });
});
