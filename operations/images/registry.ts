import { createHash } from "node:crypto";
import { z } from "zod";
import { type Architecture, architectures } from "../../configs/schema/host";
import { within } from "../../platform/within";

/** Why a digest could not be resolved. The message is one sentence and becomes the lock's `reason`. */
export class UnresolvedImage extends Error {
  override name = "UnresolvedImage";
}

export interface ImageName {
  /** Host, and port if any, whose API serves the image. */
  host: string;
  /** Path of the repository on that host. */
  repository: string;
}

const DOCKER_HUB = "registry-1.docker.io";

// The index first: its digest names the image for every architecture, a manifest's for only one.
const MANIFEST_TYPES = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

const part = z.object({ size: z.int().nonnegative() });

// OCI's and Docker's formats use the same names for these parts.
const manifestSchema = z.union([
  z.object({ config: part, layers: z.array(part) }),
  z.object({
    manifests: z.array(
      z.object({
        digest: z.string(),
        platform: z.object({ os: z.string(), architecture: z.string() }).optional(),
      }),
    ),
  }),
]);

/** Bytes of an image by architecture, as far as its registry has them. */
export type ImageSizes = Partial<Record<Architecture, number>>;

const digestSchema = z.string().regex(/^sha256:[0-9a-f]{64}$/);

const tokenSchema = z
  .object({ token: z.string().optional(), access_token: z.string().optional() })
  .transform(({ token, access_token }) => token ?? access_token)
  .pipe(z.string().min(1));

/** Where Docker looks for an image. By its rules for short names, `haproxy` is `library/haproxy` on Docker Hub. */
export function imageName(image: string): ImageName {
  const [first = "", ...rest] = image.split("/");
  const named = rest.length > 0 && (/[.:]/.test(first) || first === "localhost");
  const host = named ? first : "docker.io";
  const repository = named ? rest.join("/") : image;
  if (host !== "docker.io") return { host, repository };
  return { host: DOCKER_HUB, repository: repository.includes("/") ? repository : `library/${repository}` };
}

/**
 * Checks whether an image's registry answers.
 *
 * @param timeoutMs Milliseconds to wait. Default: 4000.
 * @returns the reason when it does not answer. Never rejects.
 */
export async function registryFailure(image: string, timeoutMs = 4000): Promise<string | undefined> {
  const { host } = imageName(image);
  try {
    const response = await request(host, "/v2/", "GET", { timeoutMs });
    return response.status === 200 || response.status === 401
      ? undefined
      : `${host} answers with HTTP ${response.status}`;
  } catch (error) {
    return error instanceof UnresolvedImage ? error.message : `${host} does not answer: ${String(error)}`;
  }
}

/**
 * The digest that a tag points to now: of the index, if the image supports several architectures.
 *
 * @param timeoutMs Milliseconds for each request. Default: 10000.
 * @throws UnresolvedImage when the registry does not answer, requires a login, or has no such tag.
 */
export async function fetchDigest(image: string, tag: string, timeoutMs = 10_000): Promise<string> {
  const { host, repository } = imageName(image);
  const ask = manifests(image, timeoutMs);
  // HEAD first: Docker Hub counts a GET of a manifest as a pull.
  let response = await ask(tag, "HEAD");
  if (!response.headers.has("docker-content-digest")) response = await ask(tag, "GET");

  const said = response.headers.get("docker-content-digest");
  const body = Buffer.from(await response.arrayBuffer());
  const computed = body.length > 0 ? sha256(body) : said;
  const digest = digestSchema.safeParse(said ?? computed);
  if (!digest.success || digest.data !== computed)
    throw new UnresolvedImage(`${host} names no valid digest for ${repository}:${tag}`);
  return digest.data;
}

/**
 * Download size of an image by architecture: the stored bytes of its layers and its config. An image without an index
 * is for one architecture, which its manifest does not name, so it counts for each.
 *
 * @param timeoutMs Milliseconds for each request. Default: 10000.
 * @throws UnresolvedImage when the registry does not serve the manifests that it lists.
 */
export async function fetchSizes(image: string, digest: string, timeoutMs = 10_000): Promise<ImageSizes> {
  const ask = manifests(image, timeoutMs);
  const read = async (reference: string) => {
    const body = Buffer.from(await (await ask(reference, "GET")).arrayBuffer());
    const manifest = sha256(body) === reference ? manifestSchema.safeParse(jsonOf(body)) : undefined;
    if (manifest?.success) return manifest.data;
    throw new UnresolvedImage(`${imageName(image).host} has no readable manifest ${reference}`);
  };
  const first = await read(digest);
  const sizes = await Promise.all(
    architectures.map(async (arch) => {
      if ("layers" in first) return [arch, sizeOf(first)] as const;
      const named = first.manifests.find(
        ({ platform }) => platform?.os === "linux" && platform.architecture === arch,
      );
      const manifest = named && (await read(named.digest));
      return manifest && "layers" in manifest ? ([arch, sizeOf(manifest)] as const) : undefined;
    }),
  );
  return Object.fromEntries(sizes.filter((size) => size !== undefined));
}

function sizeOf({ config, layers }: { config: { size: number }; layers: { size: number }[] }): number {
  return layers.reduce((sum, { size }) => sum + size, config.size);
}

/** Requests manifests of one image from a registry, with an anonymous token if it requires one. */
function manifests(image: string, timeoutMs: number) {
  const { host, repository } = imageName(image);
  let token: string | undefined;
  return async (reference: string, method: "GET" | "HEAD"): Promise<Response> => {
    const path = `/v2/${repository}/manifests/${encodeURIComponent(reference)}`;
    let response = await request(host, path, method, { timeoutMs, token });
    if (response.status === 401 && !token) {
      token = await fetchToken(host, response.headers.get("www-authenticate") ?? "", timeoutMs);
      response = await request(host, path, method, { timeoutMs, token });
    }
    const name = `${repository}${reference.startsWith("sha256:") ? "@" : ":"}${reference}`;
    if (response.status === 404) throw new UnresolvedImage(`${host} has no ${name}`);
    if (response.status === 401 || response.status === 403)
      throw new UnresolvedImage(`${host} requires a login for ${repository}`);
    if (!response.ok) throw new UnresolvedImage(`${host} answers with HTTP ${response.status} for ${name}`);
    return response;
  };
}

const sha256 = (body: Buffer) => `sha256:${createHash("sha256").update(body).digest("hex")}`;

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}

/** The anonymous half of the token protocol: no credential of this machine is ever sent. */
async function fetchToken(host: string, challenge: string, timeoutMs: number): Promise<string> {
  const field = (name: string) => new RegExp(`[ ,]${name}="([^"]*)"`, "i").exec(challenge)?.[1];
  const realm = /^bearer /i.test(challenge) ? field("realm") : undefined;
  if (!realm || !URL.canParse(realm))
    throw new UnresolvedImage(`${host} requires a login that is not anonymous`);
  const url = new URL(realm);
  for (const name of ["service", "scope"]) {
    const value = field(name);
    if (value) url.searchParams.set(name, value);
  }
  const response = await fetched(url, timeoutMs);
  if (!response.ok) throw new UnresolvedImage(`${url.host} gives no token: HTTP ${response.status}`);
  const token = tokenSchema.safeParse(await response.json().catch(() => undefined));
  if (!token.success) throw new UnresolvedImage(`${url.host} answers without a token`);
  return token.data;
}

interface RequestOptions {
  timeoutMs: number;
  token?: string;
}

function request(
  host: string,
  path: string,
  method: "GET" | "HEAD",
  { timeoutMs, token }: RequestOptions,
): Promise<Response> {
  // Like Docker, use plain HTTP only for a registry on this machine.
  const scheme = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(host) ? "http" : "https";
  return fetched(new URL(`${scheme}://${host}${path}`), timeoutMs, {
    method,
    headers: { accept: MANIFEST_TYPES, ...(token && { authorization: `Bearer ${token}` }) },
  });
}

async function fetched(url: URL, timeoutMs: number, init: RequestInit = {}): Promise<Response> {
  try {
    return await within(timeoutMs, (signal) => fetch(url, { ...init, signal }));
  } catch (error) {
    throw new UnresolvedImage(`${url.host} does not answer: ${networkReason(error)}`);
  }
}

// By shape, not by class: fetch rejects with errors from another realm in tests.
const causeSchema = z.object({ cause: z.object({ code: z.string() }) });
const timeoutSchema = z.object({ name: z.literal("TimeoutError") });

function networkReason(error: unknown): string {
  const cause = causeSchema.safeParse(error);
  if (cause.success) return cause.data.cause.code;
  return timeoutSchema.safeParse(error).success ? "timed out" : String(error);
}
