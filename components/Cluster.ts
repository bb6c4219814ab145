import * as pulumi from "@pulumi/pulumi";
import { renderText, type SecretValues } from "../configs/kit/text";
import type { BoxPlan } from "../configs/kit/types";
import type { SecretPlan } from "../configs/plan/kubernetes/files";
import { clusterOf } from "../configs/plan/kubernetes/names";
import type { KubernetesObject, ObjectMeta } from "../configs/plan/kubernetes/objects";
import { objectKey, orderOf, roleOf } from "../configs/plan/kubernetes/order";
import { renderKubernetes } from "../configs/plan/kubernetes/render";
import { kubernetesOptions, withProviderNotes } from "./clusterOptions";

/**
 * Version of Pulumi's provider for Kubernetes. The engine fetches it where it is missing. Its package for Node is not used (decision 0060).
 */
export const PROVIDER_VERSION = "4.34.2";

export interface ClusterArgs {
  plan: BoxPlan;
  /** Secret values by name. They go only into Secrets. */
  secrets: pulumi.Output<SecretValues>;
}

/** A Secret as an object whose values are not known yet. */
type Planned = KubernetesObject | { kind: "Secret"; metadata: ObjectMeta; secret: SecretPlan };

/**
 * A whole model server on a cluster, as planned: a resource for each object that the renderer makes. An object's name is its identity.
 * What is named by what it holds is made under its new name first, and the old one goes when everything else is done.
 */
export class Cluster extends pulumi.ComponentResource {
  constructor(name: string, { plan, secrets }: ClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("gpubox:index:Cluster", name, {}, opts);
    const { settings, namespace } = clusterOf(plan);
    const rendered = renderKubernetes(plan);
    const provider = new KubernetesProvider(
      "kubernetes",
      `${name}-kubernetes`,
      {
        context: settings.context,
        namespace,
        // The provider takes every setting as text.
        enableServerSideApply: "true",
        // What a killed run left is taken over. An object of somebody else's is a conflict of fields, which ends the run.
        upsertExistingObjects: "true",
      },
      { parent: this, version: PROVIDER_VERSION },
    );
    const all: Planned[] = [
      ...rendered.secrets.map((secret) => ({ kind: "Secret" as const, metadata: secret.metadata, secret })),
      ...rendered.objects,
    ];
    const parts = new Map(
      [...new Set(all.map(roleOf))].map((role) => [
        role,
        new ClusterPart(`${name}-${role}`, { parent: this }),
      ]),
    );
    const order = orderOf(plan, rendered);
    const planned = new Map(all.map((object) => [objectKey(object), object]));
    const made = new Map<string, pulumi.Resource>();
    const make = (key: string): pulumi.Resource => {
      const known = made.get(key);
      if (known) return known;
      const object = planned.get(key)!;
      const dependsOn = (order.get(key) ?? []).map(make);
      const options = { parent: parts.get(roleOf(object)), provider, version: PROVIDER_VERSION, dependsOn };
      const resource =
        "secret" in object
          ? secretResource(`${name}-${object.metadata.name}`, object.secret, secrets, options)
          : new ClusterObject(
              typeOf(object),
              `${name}-${object.metadata.name}`,
              { ...withProviderNotes(object) },
              { ...options, ...kubernetesOptions(object) },
            );
      made.set(key, resource);
      return resource;
    };
    for (const key of planned.keys()) make(key);
    this.registerOutputs({});
  }
}

/** A part of the box: gateway, edge, a store, a model's server. */
class ClusterPart extends pulumi.ComponentResource {
  constructor(name: string, opts: pulumi.ComponentResourceOptions) {
    super("gpubox:index:ClusterPart", name, {}, opts);
    this.registerOutputs({});
  }
}

class KubernetesProvider extends pulumi.ProviderResource {}

class ClusterObject extends pulumi.CustomResource {}

/** The provider's name of a kind, as its package for Node has it, CRDs included. */
function typeOf({ apiVersion, kind }: { apiVersion: string; kind: string }): string {
  return `kubernetes:${apiVersion === "v1" ? "core/v1" : apiVersion}:${kind}`;
}

function secretResource(
  name: string,
  { metadata, files }: SecretPlan,
  secrets: pulumi.Output<SecretValues>,
  options: pulumi.CustomResourceOptions,
): pulumi.Resource {
  const stringData = secrets.apply((values) =>
    Object.fromEntries(Object.entries(files).map(([file, text]) => [file, renderText(text, values)])),
  );
  return new ClusterObject(
    typeOf({ apiVersion: "v1", kind: "Secret" }),
    name,
    withProviderNotes({
      apiVersion: "v1",
      kind: "Secret" as const,
      metadata,
      type: "Opaque",
      immutable: true,
      stringData: pulumi.secret(stringData),
    }),
    { ...options, additionalSecretOutputs: ["data", "stringData"] },
  );
}
