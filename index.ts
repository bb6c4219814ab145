import { stackProgram } from "./program/stackProgram";

export const { endpoint, adminEndpoint, models, gpus, ports, policy, notes } = stackProgram(__dirname);
