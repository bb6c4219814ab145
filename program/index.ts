/** What a Pulumi program imports from `gpubox`. */
import "../platform/pulumi/stackTraces";

export { ModelServer, type ModelServerArgs } from "./ModelServer";
export { type StackOutputs, stackProgram } from "./stackProgram";
