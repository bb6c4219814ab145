import { Argument, Option } from "@commander-js/extra-typings";
import { applySecrets } from "../operations/kubernetes/applySecrets";
import { checkPlan } from "../operations/kubernetes/check";
import { findingLines } from "../operations/kubernetes/finding";
import { manifests } from "../operations/kubernetes/manifests";
import { openCluster } from "../operations/kubernetes/openCluster";
import { findProject } from "../platform/project";
import { examples, printing, stackCommand } from "./command";
import { say } from "./output";

/** For the person at the terminal. Standard output belongs to what is piped on. */
const tell = (line: string) => console.error(line);

export const definition = stackCommand("manifests")
  .description(
    "Print the stack as objects of Kubernetes, without any secret's value (docs/kubernetes.md). `secrets` writes its Secrets to the cluster instead, by kubectl's standard input. `check` asks the cluster whether the box can stand in it, and changes nothing; exit code 1 when something is in the way.",
  )
  .addArgument(
    new Argument("[what]", "what to do")
      .choices(["objects", "secrets", "check"] as const)
      .default("objects" as const),
  )
  .addOption(
    new Option(
      "--secrets <by>",
      "how secrets come: Secrets by their names, or ExternalSecret objects that make them",
    )
      .choices(["names", "external"] as const)
      .default("names" as const),
  )
  .option(
    "--context <name>",
    "with `secrets` and `check`: context of kubectl; default: gpubox:kubernetes.context, else the current one",
  )
  .addHelpText(
    "after",
    examples(
      "manifests secrets --stack lab",
      "manifests check --stack lab",
      "manifests --stack lab | kubectl apply --server-side --force-conflicts -f -",
      "manifests --stack lab --secrets external > clusters/lab/gpubox.yaml",
    ),
  )
  .action(
    printing(async (what, { stack, secrets: by, context }) => {
      const { plan, secrets, losses, notes } = await openCluster(findProject(), stack, tell);
      if (what === "secrets") {
        const { names, lines } = await applySecrets(plan, secrets, context);
        for (const line of lines) tell(line);
        return { stack, secrets: names };
      }
      if (what === "check") {
        const findings = await checkPlan(plan, by, context);
        for (const line of findingLines(findings)) say(line);
        const refused = findings.some(({ level }) => level === "refused");
        if (refused) process.exitCode = 1;
        return { stack, fits: !refused, findings };
      }
      const made = manifests(plan, by);
      say(made.yaml.trimEnd());
      tell("Compared with a box on Docker it loses:");
      for (const loss of losses) tell(`- ${loss}`);
      for (const note of notes) tell(`note: ${note}`);
      if (by === "names") tell(`Its Secrets must be there first: gpubox manifests secrets --stack ${stack}`);
      return { stack, objects: made.objects, secrets: made.secrets, loses: losses };
    }),
  );
