/** The exports of the package `gpubox` for Pulumi programs. */
import "../platform/pulumi/stackTraces";

export { ModelServer, type ModelServerArgs } from "./ModelServer";
export { type StackOutputs, stackProgram } from "./stackProgram";
