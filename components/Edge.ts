import { local } from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import { RELOAD } from "../configs/plan/steps";
import { Service, type ServiceArgs } from "./Service";

/** HAProxy: owns the port, sends traffic to the proven gateway only, closes every route that is not for clients. */
export class Edge extends Service {
  /** Depend on this to come after the edge has taken its present configuration. */
  readonly configured: local.Command;

  constructor(name: string, args: ServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("Edge", name, args, opts);
    // The container stays when only its files change: it reloads them and loses no connection.
    this.configured = new local.Command(
      `${name}-reload`,
      {
        create: RELOAD,
        environment: { ...args.host.environment, GPUBOX_EDGE: this.container.name },
        triggers: [args.plan.directory.hash],
        addPreviousOutputInEnv: false,
      },
      { parent: this, dependsOn: [this.ready, this.files] },
    );
    this.registerOutputs({});
  }
}
