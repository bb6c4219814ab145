import * as pulumi from "@pulumi/pulumi";
import { Box } from "../../components/Box";
import { isSecret, type Registered, registered } from "../support/mocks";
import { officialGateway, testPlan, testSecrets, tinyModel } from "../support/stacks";

const COMMAND = "command:local:Command";
const secrets: Record<string, string> = {
  ...testSecrets,
  aliceKey: "sk-PLANTED-alice-0123456789",
  resticPassword: "PLANTED-restic",
};

let all: Registered[];

beforeAll(async () => {
  const plan = testPlan(
    {
      models: tinyModel,
      gateway: { replicas: 2 },
      access: { keys: { alice: { key: { secret: "aliceKey" } } } },
      backup: { restic: { repository: "/mnt/backup", password: { secret: "resticPassword" } } },
    },
    secrets,
    officialGateway,
  );
  all = await registered(() => new Box(plan.prefix, { plan, secrets: pulumi.secret(secrets) }));
});

const command = (name: string) => all.find((one) => one.type === COMMAND && one.name === name)!;

test("the database is backed up, then migrated, and only then does any gateway of a new image start", () => {
  expect(command("gpubox-test-gateway-backup").dependsOn).toEqual(
    expect.arrayContaining(["gpubox-test-database-ready"]),
  );
  expect(command("gpubox-test-gateway-migrate").dependsOn).toEqual(
    expect.arrayContaining(["gpubox-test-gateway-backup", "gpubox-test-gateway-files-write"]),
  );
  for (const name of ["gpubox-test-gateway", "gpubox-test-gateway-2"]) {
    const container = all.find((one) => one.type.includes("Container") && one.name === name);
    expect(container?.dependsOn).toContain("gpubox-test-gateway-migrate");
  }
});

test("backup and migration run again only for another image, whatever else changes", () => {
  for (const name of ["gpubox-test-gateway-backup", "gpubox-test-gateway-migrate"])
    expect(command(name).inputs).toMatchObject({ triggers: ["litellm@sha256:0"], update: "true" });
});

test("teams and keys come after the switch, through a gateway that serves", () => {
  const access = command("gpubox-test-gateway-access");
  expect(access.dependsOn).toContain("gpubox-test-gateway-switch");
  expect(access.inputs.environment).toMatchObject({ GPUBOX_CONTAINER: "gpubox-test-gateway" });
});

test("keys and the repository's password go through standard input as secrets and appear nowhere else", () => {
  for (const name of ["access", "backup"])
    expect(isSecret(command(`gpubox-test-gateway-${name}`).inputs.stdin)).toBe(true);
  const plain = JSON.stringify(
    all.map(({ inputs }) => ({ ...inputs, stdin: isSecret(inputs.stdin) ? "secret" : inputs.stdin })),
  );
  expect(plain).not.toContain("PLANTED");
});

test("a gateway without a database has none of these steps", async () => {
  const plan = testPlan({ models: tinyModel, database: { mode: "none" } });
  const names = (
    await registered(() => new Box(plan.prefix, { plan, secrets: pulumi.secret(testSecrets) }))
  ).map(({ name }) => name);
  expect(names.filter((name) => /-(backup|migrate|access)$/.test(name))).toEqual([]);
});
