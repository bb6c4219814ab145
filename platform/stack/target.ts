import { namespaceOf } from "../../configs/plan/cluster";
import { kubernetesSchema } from "../../configs/schema/kubernetes";
import { UserError } from "../process";
import { readStackFile } from "./stackConfig";

/**
 * The begin of kubectl's command lines for a stack whose target is a cluster; undefined for one on a host, and where its file is missing
 * or cannot be read, which others report.
 *
 * @example
 * kubectlFor(dir, "lab"); // "kubectl --context lab -n gpubox-lab"
 */
export function kubectlFor(projectDir: string, stack: string): string | undefined {
  try {
    const { values } = readStackFile(projectDir, stack, {});
    if (values.target !== "kubernetes") return undefined;
    const section = kubernetesSchema.safeParse(values.kubernetes ?? {});
    const kubernetes = section.success ? section.data : kubernetesSchema.parse({});
    const at = kubernetes.context ? ` --context ${kubernetes.context}` : "";
    return `kubectl${at} -n ${namespaceOf({ stack, kubernetes })}`;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
