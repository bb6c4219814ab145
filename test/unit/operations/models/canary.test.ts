import { decideCanary } from "../../../../operations/models/canary";
import { testPlan } from "../../../support/stacks";

test("a model that has no server here is refused with those that have one", async () => {
  await expect(decideCanary(testPlan(), "giant", "promote", () => {})).rejects.toThrow(
    'The stack test has no model "giant" with a server of its own. Name one of these: tiny.',
  );
});
