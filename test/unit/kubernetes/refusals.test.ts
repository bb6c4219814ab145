import { clusterMistakes, lossesOf } from "../../support/cluster";

const hub = { engine: "llamacpp", model: "hf://acme/tiny-GGUF/tiny.gguf", memoryMiB: 2048 };
const gpus = { gpus: [0, 1].map((id) => ({ id, memoryGiB: 80 })) };
const onGpu = { engine: "vllm", model: "hf://acme/big", gpu: { devices: [0], memoryGiB: 30 } };
const at = "gpubox:models.m";

test("what a cluster can do is not refused", () => {
  expect(clusterMistakes({ host: gpus, models: { tiny: hub, big: onGpu } })).toEqual([]);
});

test.each<[string, Record<string, unknown>, string]>([
  [
    "a model on demand",
    { ...hub, start: "ondemand" },
    `${at}.start: Models that take turns on one device need a scheduler of that host. Write start: auto, with GPUs of its own; or leave the model on a box, and route to it by engine: openai.`,
  ],
  [
    "limits of processes",
    { ...hub, ulimits: { memlock: -1 } },
    `${at}.ulimits: A pod has no field for limits of its processes. Take it out, and set them for the nodes' container runtime (LimitMEMLOCK of containerd.service).`,
  ],
  [
    "device files",
    { ...hub, devices: ["/dev/infiniband/uverbs0"] },
    `${at}.devices: A pod gets device files from a device plugin alone. Name the plugin's resource: kubernetes: { resources: { rdma/hca: 1 } }.`,
  ],
  [
    "directories of the host",
    { ...hub, mounts: [{ source: "/srv/x" }] },
    `${at}.mounts: A pod has no directories of its node: Pod Security refuses them. Put the files beside the stack file and name them there, or into the model's volume (kubernetes.weights.claim).`,
  ],
  [
    "a port of the host",
    { ...hub, expose: { port: 8100, key: { secret: "clientKey" } } },
    `${at}.expose: A port of the host is not published on a cluster. Take it out: clients in the cluster reach the model through the edge.`,
  ],
  [
    "a model's file on the host",
    { ...hub, model: "file:///srv/models/tiny.gguf" },
    `${at}.model: The files in /srv/models are on one host, and a pod has none of them. Name the model at a hub, hf://owner/repo; or a volume claim or an image that holds the directory: kubernetes: { weights: { claim: NAME } }.`,
  ],
  [
    "replicas on a volume of one node",
    { ...hub, kubernetes: { replicas: 2 } },
    `${at}.kubernetes.weights.volume: Its own volume is for one node at a time, and its pods may be on several. Write volume: shared, where a storage class has ReadWriteMany, or volume: pod, or volume: node.`,
  ],
  [
    "growth by requests that nobody counts",
    { ...hub, kubernetes: { scale: { max: 3 }, weights: { volume: "pod" } } },
    `${at}.kubernetes.scale: Nothing says how many requests wait. Name the Prometheus that scrapes the pods: gpubox:kubernetes.prometheus.`,
  ],
  [
    "a server on the containers' host",
    { engine: "openai", baseUrl: "http://host.docker.internal:8000/v1", apiKey: "none" },
    `${at}.baseUrl: host.docker.internal is the host of a container, and a pod has none. Write an address that the cluster's pods reach, or make a Service for it and write the Service's name.`,
  ],
])("%s is refused, with the way out", (_, entry, mistake) => {
  const secrets = { clientKey: "sk-PLANTED-client-0123456789abcdef" };
  expect(clusterMistakes({ models: { m: entry } }, { secrets })).toEqual([mistake]);
});

test("models that share a GPU by memory are refused, and slices of one are not", () => {
  const models = { a: onGpu, b: { ...onGpu, model: "hf://acme/other" } };
  expect(clusterMistakes({ host: gpus, models })).toEqual([
    "gpubox:models.b.gpu.devices: It would share device 0 with a, and on a cluster a pod has whole devices. Declare every GPU of the cluster in gpubox:host.gpus and give each model its own; or name a slice: kubernetes: { gpuResource: nvidia.com/mig-3g.40gb }.",
  ]);
  const cut = { ...models.b, kubernetes: { gpuResource: "nvidia.com/mig-3g.40gb" } };
  expect(clusterMistakes({ host: gpus, models: { a: onGpu, b: cut } })).toEqual([]);
});

test.each<[string, Record<string, unknown>, string]>([
  [
    "a job",
    { jobs: { eval: { port: 4100, upstream: { box: "tiny" } } } },
    "gpubox:jobs.eval: A job is a gateway beside the box, which Docker starts and stops by hand. Take it out, and give the run a stack of its own with an own namespace.",
  ],
  [
    "a joined network",
    { gateway: { joinNetworks: { clients: ["front"] } } },
    "gpubox:gateway.joinNetworks.clients: A cluster has no networks of Docker's to join. Take it out: pods reach the edge by its Service.",
  ],
  [
    "trajectories",
    { gateway: { trajectories: true } },
    "gpubox:gateway.trajectories: Gateways on several nodes would write one log, which asks for a volume that many nodes write to. Take it out, or log on a box of its own that routes to this one by engine: openai.",
  ],
  [
    "an edge without keys",
    { gateway: { auth: "none" } },
    "gpubox:gateway.auth: On a cluster every pod reaches the edge, and without keys could use the models. Write auth: key.",
  ],
  [
    "a certificate of our own",
    {
      gateway: {
        hosts: ["llm.acme.org"],
        bind: "0.0.0.0",
        tls: { acme: { email: "a@acme.org", agreeToTerms: true } },
      },
    },
    "gpubox:gateway.tls.acme: On a cluster no edge can answer a challenge alone. Let cert-manager get the certificate for an Ingress or a Gateway before the edge's Service, and leave `tls` out.",
  ],
  [
    "a certificate of the host",
    {
      gateway: { hosts: ["llm.example"], tls: { certificate: "/srv/tls/cert.pem", key: "/srv/tls/key.pem" } },
    },
    "gpubox:gateway.tls.certificate: A pod has no files of the host. Put certificate and key into secrets: certificate: { secret: tlsCertificate }, key: { secret: tlsKey }.",
  ],
])("%s is refused, with the way out", (_, section, mistake) => {
  expect(clusterMistakes({ models: { tiny: hub }, ...section })).toEqual([mistake]);
});

test("a stack whose name is no label is refused, and one that just fits is not", () => {
  const named = (length: number) => clusterMistakes({ models: { tiny: hub } }, { stack: "x".repeat(length) });
  expect(named(56)).toEqual([]);
  expect(named(57).join()).toContain("Rename the file: letters, digits, dashes, at most 56.");
});

test("a ConfigMap that the API server would not take is refused by the size of its files", () => {
  const aliases = Array.from(
    { length: 9000 },
    (_, index) => `alias-of-a-rather-long-name-${"x".repeat(60)}-${index}`,
  );
  const [mistake] = clusterMistakes({ models: { tiny: { ...hub, aliases } } });
  expect(mistake).toMatch(
    /^(config\.yaml|generation\.json): The files of gateway have \d+ bytes together, and a ConfigMap takes 1044480\./,
  );
});

test("every box is told what it loses, and nothing that it has not", () => {
  const bare = lossesOf({ cache: { mode: "none" }, database: { mode: "none" }, models: {} });
  expect(bare).toEqual([
    expect.stringContaining("maxParallel"),
    expect.stringContaining("There is one gateway"),
    expect.stringContaining("master key"),
    expect.stringContaining("kubelet"),
  ]);
});

test.each<[string, Record<string, unknown>, string]>([
  [
    "a model that is held",
    { models: { tiny: hub } },
    "A request is not held while a model's server is away, and its 503 does not name the model: tiny.",
  ],
  [
    "a model that a person starts",
    { models: { tiny: { ...hub, start: "manual" } } },
    "A model with `start: manual` has 0 pods, and every apply brings it back to 0: tiny.",
  ],
  [
    "the database",
    { models: {} },
    "Nothing tells a lost volume of the database from a first start: Postgres begins an empty one.",
  ],
  [
    "monitors",
    { models: {}, observability: { mode: "bundled" } },
    "Prometheus, Grafana and their exporters are not made: scrape the pods with the cluster's own.",
  ],
  [
    "shared memory of the host",
    {
      host: { gpus: [{ id: 0, memoryGiB: 192, vendor: "amd" }], gpuGroups: [44] },
      models: { m: { engine: "vllm", model: "hf://acme/big", gpu: { devices: [0], memoryGiB: 60 } } },
    },
    "Shared memory is the pod's own and not the host's: backend-m.",
  ],
  [
    "locked memory",
    {
      host: gpus,
      models: { m: { engine: "sglang", model: "hf://acme/big", gpu: { devices: [0], memoryGiB: 60 } } },
    },
    "Limits of locked memory and stacks are those of the node's container runtime: backend-m.",
  ],
  [
    "keys in plain text",
    { models: {}, kubernetes: { service: { type: "LoadBalancer" } } },
    "Clients outside the cluster send their keys in plain text:",
  ],
  [
    "a root",
    {
      host: gpus,
      models: { m: { engine: "sglang", model: "hf://acme/big", gpu: { devices: [0], memoryGiB: 60 } } },
    },
    'Pod Security "restricted" refuses these pods, so the namespace has a weaker level: backend-m (baseline).',
  ],
])("it is told: %s", (_, values, loss) => {
  const secrets = { grafanaPassword: "PLANTED-grafana-0123456789" };
  expect(lossesOf(values, { secrets }).filter((one) => one.startsWith(loss))).toHaveLength(1);
});
