import { stackProgram } from "gpubox";

export const { endpoint, adminEndpoint, models, gpus, ports, policy, notes } = stackProgram(__dirname);
