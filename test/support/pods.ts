import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { renderText } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import type { Container, PodTemplate, Probe, ProjectedSource } from "../../configs/plan/kubernetes/objects";
import { renderKubernetes } from "../../configs/plan/kubernetes/render";
import { type RunResult, run } from "../../platform/process";
import { all } from "./cluster";
import { until } from "./wait";

/** Pods of a rendered stack, run by Docker as a kubelet would: files by hash, users, groups, read-only roots, probes by exec. */
export class Pods {
  readonly objects;
  private readonly secrets;

  /**
   * @param network of Docker's, on which pods have the names of the Services that find them
   * @param dir for files and volumes
   */
  constructor(
    plan: BoxPlan,
    private readonly values: Record<string, string>,
    private readonly network: string,
    private readonly dir: string,
  ) {
    const { objects, secrets } = renderKubernetes(plan);
    this.objects = objects;
    this.secrets = secrets;
  }

  /** Runs the containers before a pod's own, then that one until it ends. */
  async finish(name: string, pod: PodTemplate): Promise<RunResult> {
    await this.prepare(name, pod);
    return run("docker", [
      ...this.words(name, pod, pod.spec.containers[0]!),
      ...commandOf(pod.spec.containers[0]!),
    ]);
  }

  /** Runs the containers before a pod's own, then that one in the background until its probe passes. Returns what that said. */
  async start(name: string, pod: PodTemplate): Promise<string> {
    await this.prepare(name, pod);
    const [main] = pod.spec.containers;
    await succeed(["docker", ...this.words(name, pod, main!, "--detach"), ...commandOf(main!)]);
    const { failureThreshold, periodSeconds } = main!.startupProbe!;
    const look = async () => {
      const { code, stdout } = await this.exec(name, main!.startupProbe!);
      return code === 0 ? `${stdout} ` : undefined;
    };
    // As long as the kubelet gives it.
    return until(`${name} is ready`, look, { seconds: failureThreshold * periodSeconds, everyMs: 1000 });
  }

  /** A command in a pod that runs. */
  exec(name: string, { exec: { command } }: Pick<Probe, "exec">, stdin?: string): Promise<RunResult> {
    const words = ["exec", ...(stdin === undefined ? [] : ["--interactive"]), this.called(name)];
    return run("docker", [...words, ...command.map(filled)], { stdin });
  }

  called(name: string): string {
    return `${this.network}-${name}`;
  }

  private async prepare(name: string, pod: PodTemplate): Promise<void> {
    for (const volume of pod.spec.volumes) {
      const path = this.pathOf(name, volume.name, volume);
      if (path === undefined) continue;
      mkdirSync(path, { recursive: true });
      chownSync(path, 0, pod.spec.securityContext.fsGroup);
      chmodSync(path, 0o2775);
      if ("projected" in volume)
        for (const source of volume.projected.sources)
          for (const [file, text] of Object.entries(this.textsOf(source))) {
            writeFileSync(join(path, file), text);
            chownSync(join(path, file), 0, pod.spec.securityContext.fsGroup);
            chmodSync(join(path, file), volume.projected.defaultMode);
          }
    }
    for (const container of pod.spec.initContainers ?? [])
      await succeed(["docker", ...this.words(name, pod, container), ...commandOf(container)]);
  }

  private textsOf(source: ProjectedSource): Record<string, string> {
    if ("configMap" in source)
      return all(this.objects, "ConfigMap").find(({ metadata }) => metadata.name === source.configMap.name)!
        .data;
    const { files } = this.secrets.find(({ metadata }) => metadata.name === source.secret.name)!;
    return Object.fromEntries(
      Object.entries(files).map(([file, text]) => [file, renderText(text, this.values)]),
    );
  }

  /** Undefined for a volume in memory. A claim is the same for all pods. */
  private pathOf(
    name: string,
    volume: string,
    source: PodTemplate["spec"]["volumes"][number],
  ): string | undefined {
    if ("persistentVolumeClaim" in source)
      return join(this.dir, "claims", source.persistentVolumeClaim.claimName);
    if ("emptyDir" in source && source.emptyDir.medium === "Memory") return undefined;
    return join(this.dir, name, volume);
  }

  private words(name: string, pod: PodTemplate, container: Container, ...more: string[]): string[] {
    const { securityContext: own, shareProcessNamespace, volumes } = pod.spec;
    const { securityContext, volumeMounts, env = [], resources, command } = container;
    const { runAsUser = own.runAsUser, runAsGroup = own.runAsGroup } = securityContext;
    const services = all(this.objects, "Service").filter(({ spec }) =>
      Object.entries(spec.selector).every(([key, value]) => pod.metadata.labels[key] === value),
    );
    const mounts = volumeMounts.flatMap(({ name: volume, mountPath, subPath = "", readOnly }) => {
      const path = this.pathOf(name, volume, volumes.find((one) => one.name === volume)!);
      if (path === undefined) return ["--tmpfs", `${mountPath}:rw,mode=1777`];
      return ["--volume", `${join(path, subPath)}:${mountPath}${readOnly ? ":ro" : ""}`];
    });
    return [
      ...["run", more.length > 0 ? "--detach" : "--rm", "--network", this.network],
      ...["--name", more.length > 0 ? this.called(name) : `${this.called(name)}-${container.name}`],
      ...["--user", `${runAsUser}:${runAsGroup}`, "--group-add", String(own.fsGroup)],
      ...["--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
      ...["--memory", resources.limits.memory!.replace("Mi", "m")],
      ...(securityContext.readOnlyRootFilesystem ? ["--read-only"] : []),
      ...(shareProcessNamespace ? ["--init"] : []),
      ...services.flatMap(({ metadata }) => ["--network-alias", metadata.name]),
      ...env.flatMap(({ name: variable, value }) => ["--env", `${variable}=${filled(value)}`]),
      ...mounts,
      ...["--entrypoint", filled(command[0]!), container.image],
    ];
  }
}

function commandOf({ command, args }: Container): string[] {
  return [...command.slice(1), ...args].map(filled);
}

/** The kubelet makes one dollar sign of two. */
function filled(text: string): string {
  return text.replaceAll("$$", "$");
}

async function succeed([program, ...words]: string[]): Promise<void> {
  const { code, stdout, stderr } = await run(program!, words);
  if (code !== 0) throw new Error(`${words.at(-1)}: exit code ${code}: ${stdout}${stderr}`.slice(0, 2000));
}
