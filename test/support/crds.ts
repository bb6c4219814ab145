import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** Names a folder with the definitions' files; else those are used that Go has in its cache of modules. */
const FOLDER = "GPUBOX_TEST_CRDS";

/** File of each kind's definition, and the Go module that it comes in. */
const CRDS = {
  LeaderWorkerSet: {
    file: "leaderworkerset.x-k8s.io_leaderworkersets.yaml",
    module: "sigs.k8s.io/lws",
    folder: "config/crd/bases",
  },
  ScaledObject: {
    file: "keda.sh_scaledobjects.yaml",
    module: "github.com/kedacore/keda/v2",
    folder: "config/crd/bases",
  },
  InferencePool: {
    file: "inference.networking.k8s.io_inferencepools.yaml",
    module: "sigs.k8s.io/gateway-api-inference-extension",
    folder: "config/crd/bases",
  },
  ExternalSecret: {
    file: "external-secrets.io_externalsecrets.yaml",
    module: "github.com/external-secrets/external-secrets",
    folder: "config/crds/bases",
  },
};

export type Extension = keyof typeof CRDS;
export const EXTENSIONS = Object.keys(CRDS) as Extension[];

/** File with the custom resource definition of a kind; undefined where this machine has none. */
export function crdFile(kind: Extension): string | undefined {
  const { file, module, folder } = CRDS[kind];
  const given = process.env[FOLDER];
  const found = given ? [join(given, file)] : versions(module).map((path) => join(path, folder, file));
  return found.filter((path) => existsSync(path)).at(-1);
}

/** Folders of a module in Go's cache, the newest version last: v2.9.0 comes before v2.18.0. */
function versions(module: string): string[] {
  const cache = spawnSync("go", ["env", "GOMODCACHE"]).stdout?.toString().trim();
  const parent = join(cache || "/", dirname(module));
  if (!cache || !existsSync(parent)) return [];
  return readdirSync(parent)
    .filter((name) => name.startsWith(`${basename(module)}@`))
    .sort((one, other) => one.localeCompare(other, "en", { numeric: true }))
    .map((name) => join(parent, name));
}

/** The definition, for the line at the end of a run without it. */
export function crdName(kind: Extension): string {
  return `the definition of ${kind} (${FOLDER}, or \`go mod download ${CRDS[kind].module}\`)`;
}
