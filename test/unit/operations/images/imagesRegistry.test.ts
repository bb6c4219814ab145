import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { fetchDigest, fetchSizes, imageName, registryFailure } from "../../../../operations/images/registry";

const manifest = Buffer.from('{"schemaVersion":2}');
const digest = `sha256:${createHash("sha256").update(manifest).digest("hex")}`;
const other = `sha256:${"0".repeat(64)}`;

let server: Server;
let host: string;
let requests: string[];
let handler: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  requests = [];
  server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    handler(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
});

function answerWith(status: number, headers: Record<string, string> = {}, body?: Buffer) {
  handler = (request, response) => response.writeHead(status, headers).end(request.method === "GET" && body);
}

test("short names are Docker Hub's, a first part with a dot or port is a registry", () => {
  expect(imageName("haproxy")).toEqual({ host: "registry-1.docker.io", repository: "library/haproxy" });
  expect(imageName("a/b")).toEqual({ host: "registry-1.docker.io", repository: "a/b" });
  expect(imageName("docker.io/redis")).toEqual({
    host: "registry-1.docker.io",
    repository: "library/redis",
  });
  expect(imageName("ghcr.io/a/b")).toEqual({ host: "ghcr.io", repository: "a/b" });
  expect(imageName("localhost:5000/a")).toEqual({ host: "localhost:5000", repository: "a" });
});

test("the digest is the one in the header, asked for with HEAD so that no pull is counted", async () => {
  answerWith(200, { "docker-content-digest": digest });
  await expect(fetchDigest(`${host}/a/b`, "1")).resolves.toBe(digest);
  expect(requests).toEqual(["HEAD /v2/a/b/manifests/1"]);
});

test("an index is preferred to the manifest of one architecture", async () => {
  let accept = "";
  handler = (request, response) => {
    accept = request.headers.accept ?? "";
    response.writeHead(200, { "docker-content-digest": digest }).end();
  };
  await fetchDigest(`${host}/a`, "1");
  expect(accept.split(",")[0]).toBe("application/vnd.oci.image.index.v1+json");
});

test("a challenge is answered with an anonymous token from its realm", async () => {
  handler = (request, response) => {
    if (request.url?.startsWith("/token"))
      response.setHeader("content-type", "application/json").end('{"access_token":"t0ken"}');
    else if (request.headers.authorization === "Bearer t0ken")
      response.writeHead(200, { "docker-content-digest": digest }).end();
    else
      response
        .writeHead(401, {
          "www-authenticate": `Bearer realm="http://${host}/token",service="reg",scope="repository:a:pull"`,
        })
        .end();
  };
  await expect(fetchDigest(`${host}/a`, "1")).resolves.toBe(digest);
  expect(requests).toContain("GET /token?service=reg&scope=repository%3Aa%3Apull");
});

test("a registry that never accepts the token is reported as requiring a login", async () => {
  handler = (request, response) => {
    if (request.url?.startsWith("/token")) response.end('{"token":"t"}');
    else response.writeHead(401, { "www-authenticate": `Bearer realm="http://${host}/token"` }).end();
  };
  await expect(fetchDigest(`${host}/a`, "1")).rejects.toThrow(`${host} requires a login for a`);
});

test("a challenge that is not anonymous, or a token answer without a token, is a reason and no crash", async () => {
  answerWith(401, { "www-authenticate": 'Basic realm="x"' });
  await expect(fetchDigest(`${host}/a`, "1")).rejects.toThrow("requires a login that is not anonymous");
  handler = (request, response) => {
    if (request.url?.startsWith("/token")) response.end("<html>");
    else response.writeHead(401, { "www-authenticate": `Bearer realm="http://${host}/token"` }).end();
  };
  await expect(fetchDigest(`${host}/a`, "1")).rejects.toThrow("answers without a token");
});

test("without a digest header the manifest is hashed", async () => {
  answerWith(200, {}, manifest);
  await expect(fetchDigest(`${host}/a`, "1")).resolves.toBe(digest);
});

test("a header that is not a digest is refused", async () => {
  answerWith(200, { "docker-content-digest": "sha256:short" });
  await expect(fetchDigest(`${host}/a`, "1")).rejects.toThrow("names no valid digest");
});

test("a manifest whose hash differs from its header is refused", async () => {
  handler = (request, response) => {
    const headers = request.method === "GET" ? { "docker-content-digest": other } : undefined;
    response.writeHead(200, headers).end(request.method === "GET" ? manifest : undefined);
  };
  await expect(fetchDigest(`${host}/a`, "1")).rejects.toThrow("names no valid digest");
});

test("a tag that does not exist is named", async () => {
  answerWith(404);
  await expect(fetchDigest(`${host}/a`, "9")).rejects.toThrow(`${host} has no a:9`);
});

test("a registry counts as answering with 200 or 401, and not when it fails, hangs or is missing", async () => {
  answerWith(401);
  await expect(registryFailure(`${host}/a`)).resolves.toBeUndefined();
  answerWith(503);
  await expect(registryFailure(`${host}/a`)).resolves.toBe(`${host} answers with HTTP 503`);
  handler = () => {};
  await expect(registryFailure(`${host}/a`, 100)).resolves.toBe(`${host} does not answer: timed out`);
  await expect(registryFailure("127.0.0.1:1/a")).resolves.toMatch(/^127.0.0.1:1 does not answer: /);
});

describe("the size of a pull", () => {
  const manifestOf = (...layers: number[]) =>
    JSON.stringify({ schemaVersion: 2, config: { size: 7 }, layers: layers.map((size) => ({ size })) });
  const digestOf = (body: string) => `sha256:${createHash("sha256").update(body).digest("hex")}`;
  const indexOf = (manifests: Record<string, string>) =>
    JSON.stringify({
      manifests: Object.entries(manifests).map(([platform, body]) => {
        const [os, architecture] = platform.split("/");
        return { digest: digestOf(body), platform: { os, architecture } };
      }),
    });

  function serve(...bodies: string[]) {
    handler = (request, response) => {
      const body = bodies.find(
        (one) => request.url === `/v2/a/manifests/${encodeURIComponent(digestOf(one))}`,
      );
      response.writeHead(body ? 200 : 404).end(body);
    };
  }

  test("is the sum of its layers and its config, for each architecture of the index that a host may have", async () => {
    const [amd64, arm64] = [manifestOf(100, 20), manifestOf(90)];
    const index = indexOf({
      "linux/amd64": amd64,
      "linux/arm64": arm64,
      "linux/s390x": manifestOf(1),
      "unknown/unknown": manifestOf(2),
    });
    serve(index, amd64, arm64);
    await expect(fetchSizes(`${host}/a`, digestOf(index))).resolves.toEqual({ amd64: 127, arm64: 97 });
    expect(requests).toHaveLength(3);
  });

  test("leaves out an architecture that the index lacks", async () => {
    const amd64 = manifestOf(5);
    const index = indexOf({ "linux/amd64": amd64 });
    serve(index, amd64);
    await expect(fetchSizes(`${host}/a`, digestOf(index))).resolves.toEqual({ amd64: 12 });
  });

  test("is the same for every architecture where there is no index", async () => {
    const only = manifestOf(5);
    serve(only);
    await expect(fetchSizes(`${host}/a`, digestOf(only))).resolves.toEqual({ amd64: 12, arm64: 12 });
  });

  test("is unknown when a manifest is missing, invalid, or not the requested one", async () => {
    const index = indexOf({ "linux/amd64": manifestOf(5) });
    serve(index);
    await expect(fetchSizes(`${host}/a`, digestOf(index))).rejects.toThrow(`${host} has no a@sha256:`);
    serve("{}");
    await expect(fetchSizes(`${host}/a`, digestOf("{}"))).rejects.toThrow("has no readable manifest sha256:");
    handler = (_, response) => response.end(manifestOf(6));
    await expect(fetchSizes(`${host}/a`, digestOf(index))).rejects.toThrow(
      "has no readable manifest sha256:",
    );
  });
});
