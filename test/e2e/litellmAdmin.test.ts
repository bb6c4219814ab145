import { readFileSync } from "node:fs";
import { join } from "node:path";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import contract from "../contract/litellm/admin.json";
import { allocate } from "../support/allocate";
import { needs } from "../support/needs";
import { until } from "../support/wait";

const MINUTE = 60_000;
const NAME = `gpubox-${allocate("admin").stack}-admin`;
const KEY = "sk-admin-0123456789abcdef";

/** Bodies as `assets/gateway/access.py` sends them; `test/contract/access.test.ts` shows that it sends no other fields. */
const CALLS = [
  ["GET", "/team/list"],
  ["GET", "/key/list?page=1&size=100&return_full_object=true"],
  [
    "POST",
    "/team/new",
    {
      team_id: "t",
      team_alias: "t",
      metadata: { gpubox: { stack: "s" } },
      max_budget: 1.5,
      rpm_limit: 6,
      tpm_limit: 7,
      budget_duration: "30d",
      models: ["m"],
    },
  ],
  ["POST", "/team/update", { team_id: "t", max_budget: null, budget_duration: null, models: [] }],
  ["POST", "/team/delete", { team_ids: ["t"] }],
  [
    "POST",
    "/key/generate",
    {
      key: "sk-0123456789abcdef",
      key_alias: "a",
      metadata: { gpubox: { stack: "s", key: "a" } },
      team_id: "t",
      duration: "60s",
      spend: 4,
      max_budget: 1,
      max_parallel_requests: 2,
    },
  ],
  [
    "POST",
    "/key/update",
    { key: "f".repeat(64), key_alias: "a (previous)", team_id: null, duration: "-1", rpm_limit: null },
  ],
  ["POST", "/key/delete", { keys: ["f".repeat(64)] }],
] as const;

const ASK = `import json, sys, urllib.request
for method, path, *body in json.load(sys.stdin):
    request = urllib.request.Request("http://127.0.0.1:4000" + path, method=method, data=json.dumps(body[0]).encode() if body else None)
    request.add_header("Authorization", "Bearer ${KEY}")
    request.add_header("Content-Type", "application/json")
    try:
        answer = urllib.request.urlopen(request, timeout=30)
        print(json.dumps([method, path, answer.status, answer.read().decode()]))
    except urllib.error.HTTPError as error:
        print(json.dumps([method, path, error.code, error.read().decode()]))
`;

needs("docker")("the real LiteLLM", () => {
  const image = recipeReference(packageDir, "gateway");
  const env = ["--env", "HOME=/tmp", "--env", "LITELLM_LOCAL_MODEL_COST_MAP=True"];
  afterAll(() => run("docker", ["rm", "-f", NAME]));

  test(
    "has the admin routes and fields that the committed contract says",
    async () => {
      const script = readFileSync(join(packageDir, "test/contract/litellm/admin.py"), "utf8");
      const args = ["run", "--rm", "-i", "--network", "none", ...env, "--entrypoint", "python3", image, "-"];
      expect(JSON.parse(await output("docker", args, { stdin: script }))).toEqual(contract);
    },
    2 * MINUTE,
  );

  test(
    "takes every admin call up to the database, which it lacks here",
    async () => {
      const config = JSON.stringify({ general_settings: { master_key: KEY } });
      const start = `printf '%s' '${config}' > /tmp/config.yaml; exec litellm --config /tmp/config.yaml --port 4000`;
      const args = [
        "run",
        "-d",
        "--name",
        NAME,
        ...env,
        "--tmpfs",
        "/tmp",
        "--entrypoint",
        "sh",
        image,
        "-c",
        start,
      ];
      await output("docker", args);
      const ready = "import urllib.request as r; r.urlopen('http://127.0.0.1:4000/health/liveliness')";
      const ask = () => run("docker", ["exec", NAME, "python3", "-c", ready]);
      await until("LiteLLM is ready", async () => (await ask()).code === 0, { seconds: 300, everyMs: 500 });
      const said = await output("docker", ["exec", "-i", NAME, "python3", "-c", ASK], {
        stdin: JSON.stringify(CALLS),
      });
      const answers = said.split("\n").map((line) => JSON.parse(line) as [string, string, number, string]);
      // Where LiteLLM forgets to look for a database it answers 500 without words. 404, 405 and 422 would be a wrong path, method or body.
      expect(answers.map(([method, path]) => [method, path])).toEqual(
        CALLS.map(([method, path]) => [method, path]),
      );
      for (const [method, path, status, body] of answers)
        expect({ call: `${method} ${path}`, status, body }).toEqual({
          call: `${method} ${path}`,
          status: [400, 500].includes(status) ? status : "400 or 500",
          body: expect.stringMatching(/(no|not).*(db|database)|(db|database).*not|^Internal Server Error$/i),
        });
    },
    3 * MINUTE,
  );
});
