import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConnection } from "../../../images/gateway/prisma/connection.js";

let directory: string;
const names = ["ca.pem", "client.pem", "client.key", "client.p12", "bundle.pem"];

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "gpubox-prisma-"));
  for (const name of names) writeFileSync(join(directory, name), name);
});
afterAll(() => rmSync(directory, { recursive: true }));

const read = (query: string, env = {}) =>
  readConnection(`postgresql://u:p@db.example/d?${query}`, { directory, env });

test("a URL with nothing but the necessary has Prisma's defaults", () => {
  expect(readConnection("postgresql://db.example", { env: {} })).toMatchObject({
    ...{ host: "db.example", port: 5432, user: "", password: "", database: "postgres", schema: "public" },
    ...{ connectSeconds: 5, poolSeconds: 10, socketSeconds: 0, idleSeconds: 300, lifetimeSeconds: 0 },
    ...{ options: '-c TimeZone=UTC -c search_path="public"', tlsOptional: true },
  });
});

test("names and passwords lose their escapes", () => {
  const url = "postgres://a%40b:p%25w%20d%2F1@[::1]:6543/my%20db?application_name=gpubox";
  expect(readConnection(url, { env: {} })).toMatchObject({
    ...{
      user: "a@b",
      password: "p%w d/1",
      host: "::1",
      port: 6543,
      database: "my db",
      applicationName: "gpubox",
    },
  });
});

test("a URL without a password takes it from PGPASSWORD, as libpq does, and one that has a password keeps it", () => {
  const env = { PGPASSWORD: "from%20outside" };
  const password = (url: string) => readConnection(url, { env }).password;
  expect(password("postgresql://u@db/d")).toBe("from%20outside");
  expect(password("postgresql://u:own@db/d")).toBe("own");
});

test("limits of the pool are Prisma's", () => {
  const query =
    "connection_limit=3&pool_timeout=0&connect_timeout=7&socket_timeout=9&max_idle_connection_lifetime=11";
  expect(read(`${query}&max_connection_lifetime=13&pgbouncer=true`)).toMatchObject({
    ...{
      limit: 3,
      poolSeconds: 0,
      connectSeconds: 7,
      socketSeconds: 9,
      idleSeconds: 11,
      lifetimeSeconds: 13,
    },
  });
});

test("a session has its own settings, UTC and the schema", () => {
  const options = "options=-c%20statement_timeout%3D5000&schema=my%20%22own%22";
  expect(read(options)).toMatchObject({
    schema: 'my "own"',
    options: '-c statement_timeout=5000 -c TimeZone=UTC -c search_path="my\\ ""own"""',
  });
});

test("a socket's directory is a host, without TLS", () => {
  const url = "postgresql://u:p@localhost/d?host=/run/postgresql&sslmode=require";
  expect(readConnection(url, { env: {} })).toMatchObject({ host: "/run/postgresql", tls: undefined });
});

describe("TLS", () => {
  const bytes = (name: string) => Buffer.from(name);

  test.each([
    ["sslmode=disable", undefined, false],
    ["", { rejectUnauthorized: false }, true],
    ["sslmode=prefer", { rejectUnauthorized: false }, true],
    ["sslmode=require", { rejectUnauthorized: false }, false],
    ["sslmode=require&sslrootcert=ca.pem", { rejectUnauthorized: true, ca: bytes("ca.pem") }, false],
    ["sslmode=verify-ca&sslrootcert=ca.pem", { rejectUnauthorized: true, ca: bytes("ca.pem") }, false],
    ["sslmode=verify-full&sslrootcert=ca.pem", { rejectUnauthorized: true, ca: bytes("ca.pem") }, false],
    [
      "sslmode=require&sslcert=ca.pem&sslaccept=strict",
      { rejectUnauthorized: true, ca: bytes("ca.pem") },
      false,
    ],
    ["sslmode=require&sslcert=ca.pem", { rejectUnauthorized: false }, false],
    [
      "sslmode=require&sslcert=client.pem&sslkey=client.key",
      { rejectUnauthorized: false, cert: bytes("client.pem"), key: bytes("client.key") },
      false,
    ],
    [
      "sslmode=verify-full&sslrootcert=ca.pem&sslidentity=client.p12&sslpassword=secret",
      { rejectUnauthorized: true, ca: bytes("ca.pem"), pfx: bytes("client.p12"), passphrase: "secret" },
      false,
    ],
  ])("%s", (query, expected, tlsOptional) => {
    const { tls, ...rest } = read(query);
    expect(rest.tlsOptional).toBe(tlsOptional);
    if (!expected) return expect(tls).toBeUndefined();
    const { checkServerIdentity, ...material } = tls!;
    expect(material).toEqual({ host: "db.example", ...expected });
    // Only these two compare the name as well.
    expect(checkServerIdentity === undefined).toBe(/verify-full|strict/.test(query));
  });

  test("without an authority of its own, that of the image counts", () => {
    const { tls } = read("sslmode=verify-full", { SSL_CERT_FILE: join(directory, "bundle.pem") });
    expect(tls?.ca).toEqual(bytes("bundle.pem"));
  });

  test("the authority that LiteLLM drops beside a client's certificate is that of libpq's variable", () => {
    const query = "sslmode=require&sslcert=client.pem&sslkey=client.key&sslaccept=strict";
    const { tls } = read(query, { PGSSLROOTCERT: join(directory, "ca.pem"), SSL_CERT_FILE: "/nowhere" });
    expect(tls).toMatchObject({ rejectUnauthorized: true, ca: bytes("ca.pem"), cert: bytes("client.pem") });
  });
});

test.each([
  ["mysql://u:SECRET@h/d", "must start with the protocol"],
  ["u:SECRET@h", "must start with the protocol"],
  ["//SECRET", "it is no URL"],
  ["postgresql://u:SECRET%zz@h/d", "not followed by two hex digits"],
  [
    "postgresql://u:SECRET@h/d?sslmode=on",
    "sslmode has to be one of disable, prefer, require, verify-ca, verify-full",
  ],
  ["postgresql://u:SECRET@h/d?connection_limit=many", "connection_limit has to be a whole number"],
  [
    "postgresql://u:SECRET@h/d?sslmode=verify-ca&sslrootcert=/nowhere.pem",
    "/nowhere.pem cannot be read (ENOENT)",
  ],
])("%s is refused without its password", (url, problem) => {
  const refused = () => readConnection(url, { env: {} });
  expect(refused).toThrow(problem);
  expect(refused).not.toThrow("SECRET");
});
