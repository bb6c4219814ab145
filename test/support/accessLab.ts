import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderText } from "../../configs/kit/text";
import { run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { broken, LitellmAdmin, type Row } from "./litellmAdmin";
import { python3 } from "./python";
import { officialGateway, testPlan, testSecrets, tinyModel } from "./stacks";

const secrets: Record<string, string> = {
  ...testSecrets,
  aliceKey: "sk-PLANTED-alice-0123456789",
  aliceNew: "sk-PLANTED-alice-9876543210",
  bobKey: "sk-PLANTED-bob-0123456789",
};
const MASTER = testSecrets.masterKey!;
const models = { tiny: { ...tinyModel.tiny, aliases: ["local"] } };

/** The scripts that make a gateway's keys, teams and people, against LiteLLM's admin routes as its code has them. */
export class AccessLab {
  litellm = new LitellmAdmin(MASTER);
  private url = "";
  private readonly directory = mkdtempSync(join(tmpdir(), "gpubox-access-"));

  constructor() {
    for (const script of ["access.py", "people.py", "prove.py", "records.py"])
      cpSync(join(packageDir, "assets/gateway", script), join(this.directory, script));
    writeFileSync(join(this.directory, "gateway.env"), `LITELLM_MASTER_KEY='${MASTER}'\n`);
    beforeEach(async () => {
      this.litellm = new LitellmAdmin(MASTER);
      this.url = await this.litellm.start();
    });
    afterEach(() => this.litellm.stop());
    afterAll(() => rmSync(this.directory, { recursive: true }));
  }

  /** What `up` does after the switch, for a stack with this access section. Each line that it printed, and how it ended. */
  async up(access: Record<string, unknown>) {
    const plan = testPlan({ models, access }, secrets, officialGateway);
    const stdin = renderText(plan.gateway.access!.stdin!, secrets);
    const env = {
      GPUBOX_PROVE_URL: this.url,
      GPUBOX_PROVE_DIR: this.directory,
      PYTHONDONTWRITEBYTECODE: "1",
    };
    this.litellm.calls.length = 0;
    const result = await run(python3, [join(this.directory, "access.py")], { stdin, env });
    expect(result.stdout + result.stderr).not.toContain("PLANTED");
    expect(this.litellm.calls.map(broken).filter(Boolean)).toEqual([]);
    return {
      code: result.code,
      said: result.stdout.trim().split("\n").filter(Boolean),
      failed: result.stderr,
    };
  }

  /** The keys that the database holds: alias to row. */
  held(): Record<string, Row> {
    return Object.fromEntries([...this.litellm.keys.values()].map((row) => [row.key_alias, row]));
  }
}
