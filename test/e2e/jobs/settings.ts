import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { linesOf } from "../../../operations/trajectory/readLines";
import { output } from "../../../platform/process";
import { recipeReference } from "../../../platform/stack/recipes";
import { modelsAt } from "../../support/box";
import { type JobClient, jobFolder, startTimes, talk } from "../../support/jobs";
import { until } from "../../support/wait";
import { ASK, type JobsBox, logsOf } from "./box";

const MINUTE = 60_000;

/** Jobs by a harness of its own, by a template, and with sticky sessions. */
export function settingStories(box: JobsBox): void {
  let sticky: JobClient;

  test(
    "give their files to a harness that starts LiteLLM itself, in a shell that minds unset variables",
    async () => {
      const before = await startTimes(box.stack);
      const { code, stderr } = await box.job(
        "render",
        "remote",
        "--as",
        "own",
        "--port",
        String(box.port + 18),
      );
      expect([code, stderr]).toEqual([0, ""]);
      expect(await startTimes(box.stack)).toEqual(before);
      const folder = jobFolder(box.project, "own");
      const script = `set -eu; set -a; . ${folder}/litellm.env; set +a
        echo "aliases=<$LITELLM_STICKY_ROUTING_ALIASES>"
        exec litellm --config "$LITELLM_CONFIG" --host 0.0.0.0 --port 4111`;
      await output("docker", [
        ...["run", "--detach", "--name", `gpubox-${box.stack}-own`, "--network", `gpubox-${box.stack}-edge`],
        ...[
          "--label",
          `gpubox.stack=${box.stack}`,
          "--label",
          "gpubox.role=own",
          "--label",
          "gpubox.keep=test",
        ],
        ...["--publish", `127.0.0.1:${box.port + 18}:4111`, "--user", "65534:65534", "--env", "HOME=/tmp"],
        ...["--env", "LITELLM_LOCAL_MODEL_COST_MAP=True", "--volume", `${folder}:${folder}`],
        ...["--entrypoint", "sh", recipeReference(box.project.dir, "gateway"), "-c", script],
      ]);
      const own = box.client(jobFolder(box.project, "own"), box.port + 18, "echo");
      const listed = () => modelsAt(own.endpoint, own.key).catch(() => [] as string[]);
      await until("it lists its models", async () => (await listed()).length > 0, { seconds: 300 });
      expect(await talk(own, ASK)).toEqual(Array(4).fill("one:0 one:1 "));
      expect(await box.checked(logsOf(jobFolder(box.project, "own")))).toMatchObject({ complete: true });
      expect(await output("docker", ["logs", `gpubox-${box.stack}-own`])).toContain("aliases=<>");
      await output("docker", ["rm", "--force", `gpubox-${box.stack}-own`]);
      const refused = await box.job("render", "local", "--as", "own");
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("has a model of this box")]);
    },
    4 * MINUTE,
  );

  test(
    "take a template's settings, which LiteLLM takes too",
    async () => {
      const template = "litellm_settings:\n  num_retries: 2\nmodel_list: []\n";
      writeFileSync(join(box.project.dir, "eval.yaml"), template);
      const { code, stdout } = await box.job("start", "sticky");
      expect([code, stdout]).toEqual([0, expect.stringContaining("The template's model_list is left out")]);
      const config = join(jobFolder(box.project, "sticky"), "litellm_config_eval.yaml");
      expect(readFileSync(config, "utf8")).toContain("num_retries: 2");
      sticky = box.client(jobFolder(box.project, "sticky"), box.port + 19, "pair");
      expect(await talk(sticky, ASK)).toEqual(Array(4).fill("one:0 one:1 "));
    },
    3 * MINUTE,
  );

  test(
    "with sticky-routing aliases keep a session on one server, and lead to each by its alias",
    async () => {
      const { endpoint, key } = sticky;
      const asks = async (model: string, session?: string) => {
        for (let turn = 0; turn < 12; turn++) {
          const answer = await fetch(`${endpoint}/v1/chat/completions`, {
            method: "POST",
            headers: {
              ...{ authorization: `Bearer ${key}`, "content-type": "application/json" },
              ...(session ? { "x-litellm-session-id": session } : {}),
            },
            body: JSON.stringify({ model, messages: [{ role: "user", content: ASK }] }),
          });
          expect(answer.status).toBe(200);
        }
      };
      await asks("pair", "one");
      await asks("pair", "two");
      await asks("pair");
      await asks("pair@b");
      await box.checked(logsOf(jobFolder(box.project, "sticky")));
      const lines = await linesOf([logsOf(jobFolder(box.project, "sticky"))], {}, 1000);
      const servers = (model: string, session: string | null) => [
        ...new Set(
          lines
            .filter((line) => line.model === model && line.session_id === session)
            .map(({ upstream }) => upstream?.deployment),
        ),
      ];
      // With the four of the test before.
      expect(lines.length).toBe(52);
      expect([servers("pair", "one").length, servers("pair", "two").length]).toEqual([1, 1]);
      expect(servers("pair", null).sort()).toEqual(["pair-a", "pair-b"]);
      expect(servers("pair@b", null)).toEqual(["pair@b"]);
    },
    3 * MINUTE,
  );

  test(
    "end by prune only when their lifetime is over",
    async () => {
      const before = await startTimes(box.stack);
      const { stdout } = await box.job("prune", "--json");
      expect(JSON.parse(stdout)).toEqual({ ended: ["sticky"] });
      await box.onlyEnded("sticky", before);
      expect(JSON.parse((await box.job("prune", "--json")).stdout)).toEqual({ ended: [] });
    },
    3 * MINUTE,
  );
}
