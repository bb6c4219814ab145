import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { startTimes } from "../../support/jobs";
import type { JobsBox } from "./box";

const MINUTE = 60_000;

/** What is refused, before anything starts. */
export function refusalStories(box: JobsBox): void {
  describe("are refused with the reason, and nothing starts:", () => {
    const refused: [string, string, RegExp, string[]][] = [
      ["a job that runs already", "remote", /^error: The job remote exists already \(running\)\.$/m, []],
      [
        "a name that is no safe path",
        "remote",
        /^error: "\.\.\/x" cannot be a job's name\.$/m,
        ["--as", "../x"],
      ],
      [
        "the port of another job",
        "remote",
        new RegExp(`^error: Port ${box.port + 11} .* held by the container .*job-local-edge\\.$`, "m"),
        [...["--as", "two", "--port", String(box.port + 11)]],
      ],
      [
        "the port of the box",
        "remote",
        new RegExp(
          `^error: The job two cannot be started: job\\.port: Port ${box.port} belongs to gpubox:gateway\\.port\\.$`,
          "m",
        ),
        ["--as", "two", "--port", String(box.port)],
      ],
      [
        "a job that is not declared",
        "remot",
        new RegExp(`^error: Pulumi\\.${box.stack}\\.yaml has no job "remot"\\.$`, "m"),
        [],
      ],
      ["an upstream that does not answer", "silent", /cannot serve the job: It does not answer \(/, []],
      [
        "a model that is stopped",
        "sleeping",
        /It does not serve now: Model sleeper is not available: .*gpubox model start sleeper/,
        [],
      ],
      ["a name that the upstream does not serve", "unnamed", /It has no model GLM-5; it lists echo\.$/m, []],
      [
        "a protocol that the upstream cannot serve",
        "vectors",
        /It cannot serve \/v1\/messages, status 404/,
        [],
      ],
      [
        "a template that is not there",
        "sticky",
        /^error: The template .*eval\.yaml .* does not exist\.$/m,
        [],
      ],
    ];
    const answers: Record<string, unknown> = {};
    let before: Record<string, string>;

    beforeAll(async () => {
      before = await startTimes(box.stack);
      const left = [...refused];
      const one = async () => {
        for (let next = left.shift(); next; next = left.shift()) {
          const [claim, name, , args] = next;
          const { code, stderr } = await box.job("start", name, ...args);
          answers[claim] = [code, stderr];
        }
      };
      await Promise.all([one(), one(), one()]);
    }, 5 * MINUTE);

    test.each(refused)("%s", (claim, _, what) => {
      expect(answers[claim]).toEqual([1, expect.stringMatching(what)]);
    });

    test("all of them", async () => {
      expect(await startTimes(box.stack)).toEqual(before);
    });
  });

  test(
    "are refused when another program uses the port, or the template is not YAML",
    async () => {
      const other = createServer();
      await new Promise<void>((resolve) => other.listen(box.port + 19, "127.0.0.1", resolve));
      writeFileSync(join(box.project.dir, "eval.yaml"), "litellm_settings:\n  num_retries: 2\n");
      await box.isRefused(
        "sticky",
        new RegExp(`^error: Port ${box.port + 19} on 127\\.0\\.0\\.1 is held by `),
      );
      await new Promise((resolve) => other.close(resolve));
      writeFileSync(join(box.project.dir, "eval.yaml"), "litellm_settings: [\n");
      const { code, stderr } = await box.job("start", "sticky");
      expect([code, stderr]).toEqual([1, expect.stringContaining("The template is no valid YAML at line ")]);
    },
    2 * MINUTE,
  );
}
