import { stackProgram } from "./program";

export const { endpoint, adminEndpoint, models, gpus, ports, policy, notes } = stackProgram(__dirname);
