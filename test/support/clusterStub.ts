import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Cluster } from "../../platform/kubernetes/kubectl";
import { scratch } from "./allocate";
import { PodAgent, paramsOf } from "./podAgent";

interface Kind {
  group: string;
  version: string;
  name: string;
  kind: string;
  namespaced: boolean;
}

const kinds = (groupVersion: string, names: Record<string, string>, namespaced = true): Kind[] => {
  const [group, version] = groupVersion.includes("/") ? groupVersion.split("/") : ["", groupVersion];
  return Object.entries(names).map(([name, kind]) => ({
    group: group!,
    version: version!,
    name,
    kind,
    namespaced,
  }));
};

/** What every API server has, as far as a check asks for it. */
const BUILT_IN: Kind[] = [
  ...kinds("v1", { namespaces: "Namespace", nodes: "Node" }, false),
  ...kinds("v1", {
    ...{ pods: "Pod", secrets: "Secret", services: "Service", configmaps: "ConfigMap" },
    ...{ persistentvolumeclaims: "PersistentVolumeClaim", resourcequotas: "ResourceQuota" },
    limitranges: "LimitRange",
  }),
  ...kinds("apps/v1", { deployments: "Deployment", statefulsets: "StatefulSet" }),
  ...kinds("batch/v1", { jobs: "Job", cronjobs: "CronJob" }),
  ...kinds("networking.k8s.io/v1", { networkpolicies: "NetworkPolicy" }),
  ...kinds("policy/v1", { poddisruptionbudgets: "PodDisruptionBudget" }),
  ...kinds("storage.k8s.io/v1", { storageclasses: "StorageClass" }, false),
];

type StubObject = { kind: string; metadata: { name: string; labels?: Record<string, string> } } & Record<
  string,
  unknown
>;

/** A stand-in of an API server: kubectl finds, reads and rehearses on it. It judges nothing itself; the test says what it refuses. */
export class ClusterStub {
  /** What is there. All of it that has a namespace is in the one that is asked for. */
  objects: StubObject[] = [];
  /** Plural names of what the person may not read. */
  forbidden: string[] = [];
  /** What it says of an object that it does not accept; nothing otherwise. */
  refuses: (object: StubObject) => string | undefined = () => undefined;
  /** What runs in its pods. */
  readonly agent = new PodAgent();
  /** `METHOD path` of what would have changed something. */
  readonly changes: string[] = [];
  private kinds = BUILT_IN;
  private readonly dir = scratch("cluster-stub");
  private readonly server: Server = createServer((request, response) => void this.answer(request, response));

  async start(): Promise<void> {
    this.server.on("upgrade", (request, socket) => {
      const { pod, verb } = podAsked(request);
      if (pod && verb === "portforward") return this.agent.forward(pod, request, socket);
      if (pod && verb === "exec")
        return this.agent.exec(pod, paramsOf(request).getAll("command"), request, socket);
      socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    const server = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    // Without TLS kubectl sends no token, so the path says who asks, as behind a proxy of clusters.
    const names = ["admin", "stranger"];
    const kubeconfig = {
      ...{ apiVersion: "v1", kind: "Config" },
      clusters: names.map((name) => ({ name, cluster: { server: `${server}/${name}` } })),
      contexts: names.map((name) => ({ name, context: { cluster: name, user: "" } })),
    };
    writeFileSync(join(this.dir, "kubeconfig"), JSON.stringify(kubeconfig));
  }

  at(context: "admin" | "stranger" = "admin", namespace = "box"): Cluster {
    return {
      context,
      namespace,
      kubeconfig: join(this.dir, "kubeconfig"),
      cacheDir: join(this.dir, "cache"),
    };
  }

  /** Lets kubectl of this process find it by itself, as a person's kubeconfig does. Returns what ends that. */
  asDefault(): () => void {
    const before = process.env.KUBECONFIG;
    process.env.KUBECONFIG = this.at().kubeconfig;
    return () => {
      if (before === undefined) delete process.env.KUBECONFIG;
      else process.env.KUBECONFIG = before;
    };
  }

  /** Lets the server know a kind of another project. */
  extend(apiVersion: string, plural: string, kind: string): void {
    this.kinds = [...BUILT_IN, ...kinds(apiVersion, { [plural]: kind })];
    // kubectl remembers which kinds there are.
    rmSync(join(this.dir, "cache"), { recursive: true, force: true });
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
    rmSync(this.dir, { recursive: true, force: true });
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await textOf(request);
    const { pathname, searchParams } = new URL(request.url!, "http://stub");
    const { pod, verb } = podAsked(request);
    if (pod && verb === "log")
      return this.agent.log(pod, searchParams.get("container") ?? "", searchParams, response);
    const [status, content] = pathname.startsWith("/admin/")
      ? this.answerTo(request.method!, pathname.replace("/admin", ""), searchParams, body)
      : failure(401, "Unauthorized", "Unauthorized");
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(content));
  }

  private answerTo(method: string, path: string, query: URLSearchParams, body: string): [number, object] {
    const known = this.discovery(path);
    if (known) return [200, known];
    const [, groupVersion, , plural, name] =
      /^\/(?:api|apis)\/((?:[^/]+\/)?v\w+)(\/namespaces\/[^/]+(?=\/))?\/([^/]+)(?:\/([^/]+))?$/.exec(path) ??
      [];
    const kind = this.kinds.find((one) => versionOf(one) === groupVersion && one.name === plural);
    if (!kind) return failure(404, "NotFound", "the server could not find the requested resource");
    if (method !== "GET") return this.rehearse(`${method} ${path}`, query, JSON.parse(body) as StubObject);
    if (this.forbidden.includes(kind.name))
      return failure(403, "Forbidden", `${kind.name} is forbidden: User "admin" cannot list resource`);
    const wanted = (query.get("labelSelector") ?? "").split(",").filter(Boolean);
    const all = this.objects
      .filter((one) => one.kind === kind.kind && (!name || one.metadata.name === name))
      .filter(({ metadata: { labels = {} } }) =>
        wanted.every((one) => Object.entries(labels).some((label) => label.join("=") === one)),
      )
      .map((one) => ({ apiVersion: versionOf(kind), ...one }));
    if (!name)
      return [200, { apiVersion: versionOf(kind), kind: `${kind.kind}List`, metadata: {}, items: all }];
    return all[0] ? [200, all[0]] : failure(404, "NotFound", `${kind.name} "${name}" not found`);
  }

  private rehearse(what: string, query: URLSearchParams, object: StubObject): [number, object] {
    if (query.get("dryRun") !== "All" || query.get("fieldValidation") !== "Strict") this.changes.push(what);
    const why = this.refuses(object);
    return why === undefined
      ? [200, { ...object, metadata: { ...object.metadata, name: object.metadata.name ?? "generated" } }]
      : failure(403, "Forbidden", why);
  }

  private discovery(path: string): object | undefined {
    const groups = [...new Set(this.kinds.map(versionOf))].filter((one) => one !== "v1");
    if (path === "/version") return { major: "1", minor: "34", gitVersion: "v1.34.4" };
    if (path === "/api") return { kind: "APIVersions", versions: ["v1"] };
    if (path === "/apis")
      return {
        kind: "APIGroupList",
        apiVersion: "v1",
        groups: groups.map((groupVersion) => {
          const [name, version] = groupVersion.split("/");
          return { name, versions: [{ groupVersion, version }], preferredVersion: { groupVersion, version } };
        }),
      };
    if (path === "/openapi/v3")
      return {
        paths: Object.fromEntries(
          ["v1", ...groups].map((one) => {
            const at = one === "v1" ? "api/v1" : `apis/${one}`;
            return [at, { serverRelativeURL: `/openapi/v3/${at}` }];
          }),
        ),
      };
    const [, described, groupVersion] =
      /^(\/openapi\/v3)?\/(?:api|apis)\/((?:[^/]+\/)?v\w+)$/.exec(path) ?? [];
    const own = this.kinds.filter((one) => versionOf(one) === groupVersion);
    if (own.length === 0) return undefined;
    return described
      ? openApi(own)
      : { kind: "APIResourceList", apiVersion: "v1", groupVersion, resources: own.map(listed) };
  }
}

/** The pod that a request is for beside its object, and what it wants of it. */
function podAsked({ url }: IncomingMessage): { pod?: string; verb?: string } {
  const [, pod, verb] =
    /^\/admin\/api\/v1\/namespaces\/[^/]+\/pods\/([^/?]+)\/(log|exec|portforward)(?:\?|$)/.exec(url!) ?? [];
  return { pod, verb };
}

function versionOf({ group, version }: Kind): string {
  return group ? `${group}/${version}` : version;
}

function listed({ name, kind, namespaced }: Kind) {
  const verbs = ["create", "get", "list", "patch", "watch"];
  return { name, singularName: kind.toLowerCase(), kind, namespaced, verbs };
}

/** As much as kubectl needs to believe that the server judges fields and rehearses. */
function openApi(own: Kind[]): object {
  const parameters = ["dryRun", "fieldValidation"].map((name) => ({
    name,
    in: "query",
    schema: { type: "string" },
  }));
  return {
    openapi: "3.0.0",
    info: { title: "stub", version: "1" },
    paths: Object.fromEntries(
      own.map(({ group, version, kind, name }) => [
        `/apis/${group}/${version}/${name}/{name}`,
        { patch: { parameters, responses: {}, "x-kubernetes-group-version-kind": { group, version, kind } } },
      ]),
    ),
  };
}

function failure(code: number, reason: string, message: string): [number, object] {
  return [code, { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message }];
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}
