import { join } from "node:path";
import ts from "typescript";
import { packageDir } from "../../platform/project";

/** What declares each kind's fields, of Kubernetes' own kinds. */
const MODULES: Record<string, string> = {
  Namespace: "core/v1",
  ConfigMap: "core/v1",
  Secret: "core/v1",
  PersistentVolumeClaim: "core/v1",
  Service: "core/v1",
  Deployment: "apps/v1",
  StatefulSet: "apps/v1",
  Job: "batch/v1",
  CronJob: "batch/v1",
  PodDisruptionBudget: "policy/v1",
  NetworkPolicy: "networking/v1",
};

interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
}

/** A text is a text, however long: files make the literals large, and their judge slow. */
function shortened(object: Manifest): string {
  return JSON.stringify(object, (_, value: unknown) =>
    typeof value === "string" && value.length > 200 ? value.slice(0, 200) : value,
  );
}

const FILE = join(packageDir, "test", "judged.ts");

/**
 * What is wrong with objects by Kubernetes' OpenAPI schema, which the package `kubernetes-types` has as TypeScript's types: fields that a
 * kind does not have, fields that it lacks, values of another type. A literal may have no field that its type does not know, at any
 * depth. Custom resources are left out, because only a cluster knows them.
 */
export function mistakesByType(objects: Manifest[]): string[] {
  const known = objects.filter(({ kind }) => MODULES[kind]);
  const judged = [...new Map(known.map((object) => [shortened(object), object])).values()];
  const kinds = [...new Set(judged.map(({ kind }) => kind))];
  const lines = [
    ...kinds.map((kind) => `import type { ${kind} } from "kubernetes-types/${MODULES[kind]}";`),
    ...judged.map((object, index) => `export const o${index}: ${object.kind} = ${shortened(object)};`),
  ];
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    types: [],
    lib: ["lib.es2022.d.ts"],
    module: ts.ModuleKind.CommonJS,
    moduleResolution: ts.ModuleResolutionKind.Node10,
  };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (name, ...rest) =>
    name === FILE ? ts.createSourceFile(name, lines.join("\n"), ts.ScriptTarget.ES2022) : read(name, ...rest);
  const exists = host.fileExists.bind(host);
  host.fileExists = (name) => name === FILE || exists(name);
  const program = ts.createProgram([FILE], options, host);
  const source = program.getSourceFile(FILE);
  return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
    ({ messageText, start = 0 }) => {
      const line = lines.join("\n").slice(0, start).split("\n").length - 1 - kinds.length;
      const object = judged[line];
      const words = ts.flattenDiagnosticMessageText(messageText, " ").replace(/\s+/g, " ");
      return `${object?.kind} ${object?.metadata.name}: ${words}`;
    },
  );
}
