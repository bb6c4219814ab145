import { renderText, type SecretValues } from "../../configs/kit/text";
import type { BoxPlan } from "../../configs/kit/types";
import type { SecretPlan } from "../../configs/plan/kubernetes/files";
import { clusterOf } from "../../configs/plan/kubernetes/names";
import type { ExternalSecret, KubernetesObject } from "../../configs/plan/kubernetes/objects";
import { renderKubernetes } from "../../configs/plan/kubernetes/render";
import { UserError } from "../../platform/process";
import { manifestYaml } from "./yaml";

/** How the printed objects say where secrets come from. */
export type SecretsBy = "names" | "external";

export interface Manifests {
  yaml: string;
  objects: KubernetesObject[];
  /** Secrets that must be there before pods start: name to the files in it. */
  secrets: Record<string, string[]>;
}

/**
 * The objects of a box as YAML, one document an object, in an order that is always the same. No value of a secret is in it.
 *
 * @param by `names`: Secrets are named and made by {@link secretManifests}. `external`: an ExternalSecret makes each
 * @throws UserError where a store is missing for `external`
 */
export function manifests(plan: BoxPlan, by: SecretsBy): Manifests {
  const { objects, secrets } = renderKubernetes(plan);
  const all = by === "external" ? withExternal(plan, objects, secrets) : objects;
  return {
    yaml: manifestYaml(all),
    objects: all,
    secrets: Object.fromEntries(secrets.map(({ metadata, files }) => [metadata.name, Object.keys(files)])),
  };
}

function withExternal(plan: BoxPlan, objects: KubernetesObject[], secrets: SecretPlan[]): KubernetesObject[] {
  const store = clusterOf(plan).settings.secretStore;
  if (!store)
    throw new UserError(
      "gpubox:kubernetes.secretStore is missing, so no ExternalSecret can be written.",
      "Name the store: secretStore: { name: vault, kind: ClusterSecretStore }. Or leave --secrets external out.",
    );
  const made = secrets.map(({ metadata, files }): ExternalSecret => {
    const { name } = metadata;
    return {
      apiVersion: "external-secrets.io/v1",
      kind: "ExternalSecret",
      metadata,
      spec: {
        secretStoreRef: store,
        // Its name says what it holds: nothing in it ever changes.
        refreshPolicy: "CreatedOnce",
        target: { name, creationPolicy: "Owner", immutable: true },
        data: Object.keys(files).map((file) => ({
          secretKey: file,
          remoteRef: { key: `${plan.prefix}/${name}`, property: file },
        })),
      },
    };
  });
  const first = objects.findIndex(({ kind }) => !["Namespace", "NetworkPolicy", "ConfigMap"].includes(kind));
  return [...objects.slice(0, first), ...made, ...objects.slice(first)];
}

/** Secrets with their values. For a pipe to `kubectl` alone: never for a file, a log or an argument. */
export function secretManifests(plan: BoxPlan, values: SecretValues): object[] {
  return renderKubernetes(plan).secrets.map(({ metadata, files }) => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata,
    type: "Opaque",
    immutable: true,
    stringData: Object.fromEntries(
      Object.entries(files).map(([file, text]) => [file, renderText(text, values)]),
    ),
  }));
}
