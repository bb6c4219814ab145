import { namespaceOf } from "../../configs/plan/cluster";
import { kubernetesSchema } from "../../configs/schema/kubernetes";
import { UserError } from "../process";
import { readStackFile } from "./stackConfig";

/**
 * The namespace of a stack whose target is a cluster; undefined for one on a host, and where its file is missing or cannot be read, which
 * others report.
 */
export function clusterNamespace(projectDir: string, stack: string): string | undefined {
  try {
    const { values } = readStackFile(projectDir, stack, {});
    if (values.target !== "kubernetes") return undefined;
    const section = kubernetesSchema.safeParse(values.kubernetes ?? {});
    return namespaceOf({ stack, kubernetes: section.success ? section.data : kubernetesSchema.parse({}) });
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
