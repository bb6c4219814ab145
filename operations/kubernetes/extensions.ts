import type { ClusterObject } from "./demand";

/** The command that installs a kind, by its group. */
const INSTALLS: [RegExp, string][] = [
  [
    /^leaderworkerset\.x-k8s\.io\//,
    "helm install lws oci://registry.k8s.io/lws/charts/lws --namespace lws-system --create-namespace",
  ],
  [
    /^keda\.sh\//,
    "helm install keda keda --repo https://kedacore.github.io/charts --namespace keda --create-namespace",
  ],
  [
    /^inference\.networking\.(x-)?k8s\.io\//,
    "kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/latest/download/manifests.yaml",
  ],
  [
    /^external-secrets\.io\//,
    "helm install external-secrets external-secrets --repo https://charts.external-secrets.io --namespace external-secrets --create-namespace",
  ],
];

/** Groups that every API server has. */
const BUILT_IN = /^(v1|(apps|batch|autoscaling|policy|[\w.-]+\.k8s\.io)\/v1)$/;
/** Groups of that form which come from outside all the same. */
const EXTENSIONS = /^(inference\.networking|gateway\.networking|snapshot\.storage)\.k8s\.io\//;

/** Whether the kind comes with a part that somebody installs. */
export function isExtension({ apiVersion }: ClusterObject): boolean {
  return !BUILT_IN.test(apiVersion) || EXTENSIONS.test(apiVersion);
}

/** The command that installs what serves a kind; undefined for a group that gpubox never makes objects of. */
export function installs(apiVersion: string): string | undefined {
  return INSTALLS.find(([group]) => group.test(apiVersion))?.[1];
}
