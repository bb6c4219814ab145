import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join, relative } from "node:path";
import type { ImageRole } from "../../configs/kit/imageRoles";
import { dockerAt } from "../../platform/docker/client";
import { spaceFailure } from "../../platform/docker/space";
import { run, UserError } from "../../platform/process";
import { type Report, unreported } from "../../platform/progress";
import { ensureProjectFolders, imagesDir, type Log, projectPaths } from "../../platform/project";
import { type Recipe, recipeReference, STARTS_FROM } from "../../platform/stack/recipes";
import { aptMirrors } from "./aptMirrors";
import { followBuild } from "./buildLog";

/** Usual duration of a build on two cores with an ordinary connection, shown to whoever waits. */
const USUAL_TIME: Partial<Record<Recipe, string>> = {
  base: "40 s",
  gateway: "2 min",
  edge: "10 s",
  cache: "10 s",
  database: "30 s",
  acme: "20 s",
  llamacpp: "30 s",
  ollama: "6 min",
  "vllm-cpu": "8 min",
};

/** Recipes that some of their packages bind to x86-64. */
const ONLY_AMD64: Recipe[] = ["vllm-cpu"];

/** Where a host keeps the certificates that it trusts. */
const CA_BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  process.env.NODE_EXTRA_CA_CERTS,
  process.env.SSL_CERT_FILE,
];

/** Where packages come from, for hosts that have a mirror. */
const INDEX_VARIABLES = ["PIP_INDEX_URL", "NPM_CONFIG_REGISTRY", "GOPROXY", "GOSUMDB"];

const PROXY_VARIABLES = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

export interface BuildOptions {
  projectDir: string;
  /** Address of the Docker engine that gets the images. */
  docker: string;
  log: Log;
  /** Gets how far each build is. */
  report?: Report;
}

/** The recipes of the default stack. Others are built by name, or when a stack needs them. */
export const defaultRecipes: readonly ImageRole[] = ["gateway", "edge", "cache", "database", "llamacpp"];

/**
 * Makes sure that the images of these roles are on the engine, built from `images/` where they are missing: the base
 * first, then all roles at once, but for those that start from another. What a build says goes to `.gpubox/log/image-<recipe>.log`.
 *
 * @returns The references, role by role.
 * @throws UserError when a build fails, or when the base is missing and this user cannot make it.
 */
export async function buildRecipes(
  roles: readonly ImageRole[],
  options: BuildOptions,
): Promise<Record<string, string>> {
  const { projectDir, log } = options;
  const docker = dockerAt(options.docker);
  const references = Object.fromEntries(roles.map((role) => [role, recipeReference(projectDir, role)]));
  const present = await docker.images(Object.values(references));
  const missing: ImageRole[] = [];
  for (const role of roles) {
    if (present.has(references[role]!)) log(`${role}: ${references[role]}, built before`);
    else missing.push(role);
  }
  if (missing.length === 0) return references;

  const bound = missing.find((role) => ONLY_AMD64.includes(role));
  if (bound) await refuseOtherThanAmd64(bound, options.docker);
  ensureProjectFolders(projectDir);
  const base = recipeReference(projectDir, "base");
  if (!(await docker.hasImages(base))) await buildBase(base, options);
  const builds = new Map<ImageRole, Promise<void>>();
  const buildOnce = (role: ImageRole): Promise<void> => {
    const building = builds.get(role) ?? buildRole(role);
    builds.set(role, building);
    return building;
  };
  const buildRole = async (role: ImageRole): Promise<void> => {
    const from = STARTS_FROM[role];
    const start = from ? recipeReference(projectDir, from) : base;
    if (from && !(await docker.hasImages(start))) await buildOnce(from);
    const reference = recipeReference(projectDir, role);
    const args = ["build", "--force-rm", "--network", "host", "--build-arg", `BASE=${start}`];
    const context = join(imagesDir(projectDir), role);
    const all = [...args, ...buildArguments(), "--tag", reference, context];
    await build(role, reference, "docker", all, options);
  };
  const results = await Promise.allSettled(missing.map(buildOnce));
  for (const result of results) if (result.status === "rejected") throw result.reason;
  return references;
}

async function buildBase(reference: string, options: BuildOptions): Promise<void> {
  await checkArchitecture(options.docker);
  if (process.getuid?.() !== 0)
    throw new UserError(
      "The images' base is made with debootstrap, which needs root.",
      'Run once: sudo env "PATH=$PATH" gpubox images build',
    );
  await ensureDebootstrap(options.log);
  // Not /tmp: it is often mounted without devices, which debootstrap refuses.
  const workdir = mkdtempSync("/var/tmp/gpubox-base-");
  try {
    const bundle = join(workdir, "ca-bundle.crt");
    const found = [...new Set(CA_BUNDLES)].filter((path) => path !== undefined).filter(existsSync);
    writeFileSync(bundle, found.map((path) => readFileSync(path, "utf8")).join("\n"));
    const { main, security } = aptMirrors("/etc");
    const script = join(imagesDir(options.projectDir), "base", "build.sh");
    await build("base", reference, "sh", [script, reference, workdir, bundle, main, security], options);
  } finally {
    rmSync(workdir, { recursive: true, force: true });
  }
}

/** The engine's processor, in Docker's word. */
function architectureOf(docker: string): Promise<string> {
  return dockerAt(docker).output(["version", "--format", "{{.Server.Arch}}"]);
}

async function refuseOtherThanAmd64(role: ImageRole, docker: string): Promise<void> {
  const engine = await architectureOf(docker);
  if (engine === "amd64") return;
  throw new UserError(
    `The recipe of ${role} has packages for x86-64 alone, and the Docker engine runs on ${engine}.`,
    "Use the official image where its registry answers, or an engine whose recipe runs there (llamacpp, ollama).",
  );
}

/** debootstrap makes a system of this machine's architecture, whatever the engine's is. */
async function checkArchitecture(docker: string): Promise<void> {
  const engine = await architectureOf(docker);
  const own = process.arch === "x64" ? "amd64" : process.arch;
  if (engine === own) return;
  throw new UserError(
    `The Docker engine runs on ${engine} and this machine is ${own}, so images cannot be built here for it.`,
    "Run `gpubox images build` on the engine's machine.",
  );
}

async function ensureDebootstrap(log: Log): Promise<void> {
  const isThere = async () => (await run("debootstrap", ["--version"])).code === 0;
  if (await isThere()) return;
  log("base: installing debootstrap with apt-get");
  // Ubuntu does not bring the keys of Debian's archive along.
  const install = ["install", "-y", "--no-install-recommends", "debootstrap", "debian-archive-keyring"];
  await run("apt-get", ["update"]);
  await run("apt-get", install, { env: { DEBIAN_FRONTEND: "noninteractive" } });
  if (await isThere()) return;
  throw new UserError(
    "debootstrap could not be installed, and the images' base is made with it.",
    "On Debian or Ubuntu run: sudo apt-get install debootstrap debian-archive-keyring",
  );
}

/**
 * What a build's shell does. Two boxes that come up at once on one machine want the same images: the second one waits, and
 * then finds them. The output goes to a file, so that the log can be followed while the build runs.
 */
const BUILD = 'docker image inspect "$0" >/dev/null 2>&1 || exec "$@" >"$GPUBOX_BUILD_LOG" 2>&1';

/** The lock of an image's build, one for each user, because nobody else may write it. */
function lockFile(reference: string): string {
  return join(tmpdir(), `gpubox-${userInfo().uid}-${reference.replace(/\W/g, "-")}.lock`);
}

async function build(
  recipe: Recipe,
  reference: string,
  program: string,
  args: string[],
  { projectDir, docker, log, report = unreported }: BuildOptions,
): Promise<void> {
  const logFile = join(projectPaths(projectDir).log, `image-${recipe}.log`);
  const shown = relative(projectDir, logFile);
  log(
    `${recipe}: building from images/${recipe} (about ${USUAL_TIME[recipe] ?? "a minute"}), log in ${shown}`,
  );
  const start = Date.now();
  const stopFollowing = followBuild(logFile, (state) => report({ what: `${recipe}: building`, ...state }));
  const result = await run("flock", [lockFile(reference), "sh", "-c", BUILD, reference, program, ...args], {
    // The classic builder takes a local base image and needs no plugin, which Debian does not package.
    env: { DOCKER_HOST: docker, DOCKER_BUILDKIT: "0", GPUBOX_BUILD_LOG: logFile },
  });
  stopFollowing();
  report({ what: `${recipe}: building`, ended: true });
  if (result.code !== 0) {
    const last = readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-12);
    for (const line of last) log(`${recipe}: | ${line}`);
    const full = spaceFailure(last.join("\n"), "Docker's host");
    if (full) throw new UserError(full.what, full.fix);
    throw new UserError(
      `Building the image for ${recipe} failed with exit code ${result.code}.`,
      `Read ${shown}, remove the cause and run it again: what is already built is kept.`,
    );
  }
  log(`${recipe}: built ${reference} in ${Math.round((Date.now() - start) / 1000)} s`);
}

/** By name only: docker takes the values from the environment, so that none of them shows in its argv. */
function buildArguments(): string[] {
  for (const name of INDEX_VARIABLES)
    if (/\/\/[^/]*@/.test(process.env[name] ?? ""))
      throw new UserError(
        `${name} holds credentials, and the image's history would keep them.`,
        "Set it to an index that needs none, or unset it.",
      );
  const names = [...PROXY_VARIABLES, ...INDEX_VARIABLES].filter((name) => process.env[name]);
  return names.flatMap((name) => ["--build-arg", name]);
}
