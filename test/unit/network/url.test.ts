import fc from "fast-check";
import { type UrlUse, urlProblems } from "../../../configs/network/url";
import { isOwnLoopback } from "../../../configs/secrets/loopback";

const versioned: UrlUse = { kind: "versioned", gateway: true, login: "Use a secret." };
const root: UrlUse = { ...versioned, kind: "root" };
const whole: UrlUse = { ...versioned, kind: "whole" };

function said(value: string, use = versioned): string[] {
  return urlProblems(value, "p", use).map(({ what, fix }) => `${what} ${fix}`);
}

/** The address that a fix tells to write. */
function advised(value: string, use: UrlUse): string {
  return /https?:\/\/\S+?(?=[.,]?(\s|$))/.exec(urlProblems(value, "p", use)[0]?.fix ?? "")?.[0] ?? "";
}

test.each([
  "http://far:8000/v1",
  "https://far/v1/",
  "http://[fd00::5]:8000/v1",
  "https://generativelanguage.googleapis.com/v1beta/openai",
  "https://x.openai.azure.com/openai/v1",
  "https://ark.cn-beijing.volces.com/api/v3",
  "https://open.bigmodel.cn/api/paas/v4",
  "https://dashscope.aliyuncs.com/compatible-mode/v1",
  "http://webui:3000/api",
  "http://host.docker.internal:11434/v1",
])("%s is the base of an OpenAI-compatible API", (base) => {
  expect(said(base)).toEqual([]);
});

test.each([
  [
    "far:8000/v1",
    '"far:8000/v1" is not an http or https URL. Write it whole, for example http://far:8000/v1.',
  ],
  [
    " http://far/v1",
    '" http://far/v1" is not an http or https URL. Write it whole, for example http://far/v1.',
  ],
  [
    "http:\\\\far\\v1",
    '"http:\\\\far\\v1" is not an http or https URL. Write it whole, for example http://192.168.1.5:8000/v1.',
  ],
  [
    "http:///v1",
    '"http:///v1" is not an http or https URL. Write it whole, for example http://192.168.1.5:8000/v1.',
  ],
  [
    "http://far/v1?key=x",
    '"http://far/v1?key=…" has a query, and routes are put behind it. Write http://far/v1.',
  ],
  ["http://far/v1#x", '"http://far/v1#…" has a fragment, which is never sent. Write http://far/v1.'],
  [
    "http://far/v1/chat/completions",
    '"http://far/v1/chat/completions" ends in a route, which would be there twice. Write http://far/v1.',
  ],
  [
    "http://far/models/",
    '"http://far/models/" ends in a route, which would be there twice. Write http://far/v1.',
  ],
  ["http://far", '"http://far" does not end in /v1. Write http://far/v1.'],
])("%s is refused with the address to write", (value, message) => {
  expect(said(value)).toEqual([message]);
});

test("an API version in the query of Azure's address is sent to its key", () => {
  expect(said("https://x.openai.azure.com/?api-version=2025-04-01", root)).toEqual([
    '"https://x.openai.azure.com/?api-version=2025-04-01" has a query, and routes are put behind it. Write https://x.openai.azure.com, and apiVersion: 2025-04-01.',
  ]);
});

test("an address that is asked as it stands may have a route and a query", () => {
  expect(said("https://hooks.example/a/messages?token=x", whole)).toEqual([]);
  expect(said("https://hooks.example/a#b", whole)).toEqual([
    '"https://hooks.example/a#…" has a fragment, which is never sent. Write https://hooks.example/a.',
  ]);
});

const LOOPBACK = [
  "localhost",
  "a.localhost",
  "127.0.0.1",
  "127.1",
  "2130706433",
  "0x7f.0.0.9",
  "0.0.0.0",
  "[::1]",
  "[::]",
].concat("[::ffff:127.0.0.1]", "localhost.");

test.each(LOOPBACK)("%s is a container's own loopback, and host.docker.internal the way round", (host) => {
  expect(said(`http://${host}:8000/v1`)).toEqual([
    expect.stringMatching(/own loopback.* write http:\/\/host\.docker\.internal:8000\/v1\.$/),
  ]);
  expect(urlProblems(`http://${host}:8000/v1`, "p", { kind: "versioned", login: "" })).toEqual([]);
});

test.each(["10.0.0.1", "128.0.0.1", "far", "[fd00::1]", "host.docker.internal", "localhost.example.com"])(
  "%s is none",
  (host) => expect(isOwnLoopback(new URL(`http://${host}`).hostname)).toBe(false),
);

const host = fc.oneof(fc.domain(), fc.ipV4(), fc.constantFrom("gpu1", "host.docker.internal", "[fd00::7]"));
const port = fc.option(fc.integer({ min: 1, max: 65535 }), { nil: undefined });
const path = fc.array(fc.constantFrom("v1", "v1beta", "openai", "api", "v3", "llm", "a-b"), { maxLength: 4 });
const tail = fc.constantFrom(
  "",
  "/",
  "?a=b",
  "#c",
  "/chat/completions",
  "/messages",
  "/models",
  "/v1/embeddings",
);
const url = fc
  .tuple(fc.constantFrom("http", "https", "HTTP", "ftp", "ws"), host, port, path, tail)
  .map(([scheme, name, at, parts, end]) =>
    [`${scheme}://${name}`, at ? `:${at}` : "", ...parts.map((part) => `/${part}`), end].join(""),
  );

test("whatever is refused comes with an address that is accepted, at the same host", () => {
  fc.assert(
    fc.property(url, fc.constantFrom(versioned, root, whole), (value, use) => {
      if (said(value, use).length === 0) return;
      const instead = advised(value, use);
      expect(urlProblems(instead, "p", use)).toEqual([]);
      const names = [new URL(instead).hostname, new URL(value.replace(/^\w+/, "http")).hostname];
      expect([names[1], "host.docker.internal"]).toContain(names[0]);
    }),
  );
});

test("a login is refused in every spelling, and never repeated", () => {
  const login = fc.constantFrom("me:PLANTED@", "PLANTED@", ":PLANTED@", "me:PLAN%40TED@");
  fc.assert(
    fc.property(url, login, fc.constantFrom(versioned, root, whole), (value, user, use) => {
      const [problem, ...more] = urlProblems(value.replace("://", `://${user}`), "p", use);
      expect([problem?.what, problem?.fix, more]).toEqual([
        "The URL carries credentials, which would be stored in plaintext.",
        "Use a secret.",
        [],
      ]);
    }),
  );
});

test("what stands behind ? or # is never repeated, because it may be a key", () => {
  const end = fc.constantFrom(
    "?key=PLANTED",
    "?PLANTED",
    "?a=b&sig=PLANTED",
    "#PLANTED",
    "?a=PLANTED#PLANTED",
  );
  fc.assert(
    fc.property(url, end, fc.constantFrom(versioned, root, whole), (value, more, use) => {
      expect(said(value.replace(/[?#].*$/, "") + more, use).join()).not.toContain("PLANTED");
    }),
  );
});
