import type * as pulumi from "@pulumi/pulumi";
import { Service, type ServiceArgs } from "./Service";

/** HAProxy: owns the port, sends traffic to the proven gateway only, closes every route that is not for clients. */
export class Edge extends Service {
  constructor(name: string, args: ServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("Edge", name, args, opts);
    this.registerOutputs({});
  }
}
