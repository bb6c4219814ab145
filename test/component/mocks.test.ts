import * as pulumi from "@pulumi/pulumi";
import { Box } from "../../components/Box";
import { registered } from "../support/mocks";
import { testPlan, testSecrets, tinyModel } from "../support/stacks";
import { pause } from "../support/wait";

class Part extends pulumi.CustomResource {
  constructor(name: string, input: pulumi.Input<string> = "") {
    super("test:index:Part", name, { input });
  }
}

const slow = () => pulumi.output(pause(30, "a value that takes its time").then(() => "value"));

test("a program registers the same resources, whatever ran in its process before", async () => {
  const plan = testPlan({ models: tinyModel });
  const program = () => new Box(plan.prefix, { plan, secrets: pulumi.secret(testSecrets) });
  const first = await registered(program);
  expect(first.length).toBeGreaterThan(10);
  await registered(() => new Part(plan.prefix), true);
  const broken = registered(() => {
    // Tells its outputs itself, in a turn after this one.
    new pulumi.ComponentResource("test:index:Begun", "begun");
    throw new pulumi.RunError("a mistake");
  });
  await expect(broken).rejects.toThrow("a mistake");
  expect(await registered(program)).toEqual(first);
});

test("a resource counts that waits for a value, and one that is made of another's", async () => {
  const all = await registered(() => {
    const one = new Part("one", slow());
    const two = new Part("two", one.urn);
    two.urn.apply(
      (urn) =>
        new Part(
          "three",
          slow().apply(() => urn),
        ),
    );
  });
  expect(all.map(({ name }) => name)).toEqual(["one", "two", "three"]);
});
