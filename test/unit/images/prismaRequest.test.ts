import { rawAnswer, untagged } from "../../../images/gateway/prisma/answer.js";
import { translator } from "../../../images/gateway/prisma/request.js";
import { datasourceUrl, readModels } from "../../../images/gateway/prisma/schema.js";

const SCHEMA = `
datasource client {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}

// model Nothing { id String }
model User {
  id       String  @id @default("}") // a brace
  settings Json?   @default("{}")
  parts    Json[]
  name     String
  team     Team?   @relation(fields: [team_id], references: [id])
  team_id  String?

  @@index([team_id, name])
}

model Team {
  id    String @id
  about Json
  users User[]
}

model UserTeam {
  id String @id
}
`;

const models = readModels(SCHEMA);
const translate = translator(models);
const query = (text: string) => translate(text).json.query as { arguments: unknown; selection: unknown };
const json = (value: string) => ({ $type: "Json", value });

test("the types of all fields are read from the schema, and nothing of comments and attributes", () => {
  expect([...models.keys()]).toEqual(["User", "Team", "UserTeam"]);
  expect(Object.fromEntries(models.get("User")!)).toEqual({
    ...{ id: "String", settings: "Json", parts: "Json", name: "String", team: "Team", team_id: "String" },
  });
});

test.each([
  ["findUniqueUser", "findUnique", "User"],
  ["findUniqueUserOrThrow", "findUniqueOrThrow", "User"],
  ["findFirstUserOrThrow", "findFirstOrThrow", "User"],
  ["findManyUserTeam", "findMany", "UserTeam"],
  ["createManyUser", "createMany", "User"],
  ["createOneUser", "createOne", "User"],
  ["upsertOneTeam", "upsertOne", "Team"],
  ["aggregateUser", "aggregate", "User"],
  ["groupByTeam", "groupBy", "Team"],
])("%s is the action %s of %s", (name, action, modelName) => {
  expect(translate(`query { result: ${name} { id } }`)).toMatchObject({
    key: "result",
    raw: false,
    json: { action, modelName },
  });
});

test("SQL goes through as it is", () => {
  const text = 'mutation { result: queryRaw(query: "select $1", parameters: "[1]") }';
  expect(translate(text)).toEqual({
    key: "result",
    raw: true,
    json: {
      action: "queryRaw",
      query: { arguments: { query: "select $1", parameters: "[1]" }, selection: {} },
    },
  });
});

test.each(["findManyNobody", "dropUser", "findMany"])("a query %s does not exist", (name) => {
  expect(() => translate(`query { ${name} { id } }`)).toThrow(`The engine knows no query ${name}.`);
});

describe("strings are tagged as JSON where the schema has Json, and nowhere else", () => {
  test.each([
    ['data: { settings: "{}", name: "{}" }', { data: { settings: json("{}"), name: "{}" } }],
    ['data: { settings: { set: "1" } }', { data: { settings: { set: json("1") } } }],
    ['data: { parts: ["1", "2"] }', { data: { parts: [json("1"), json("2")] } }],
    ['data: { parts: { push: ["1"] } }', { data: { parts: { push: [json("1")] } } }],
    [
      'data: [{ settings: "1" }, { settings: null }]',
      { data: [{ settings: json("1") }, { settings: null }] },
    ],
    [
      'data: { team: { create: { about: "1" }, connect: { id: "1" } } }',
      { data: { team: { create: { about: json("1") }, connect: { id: "1" } } } },
    ],
    [
      'data: { team: { connectOrCreate: { where: { id: "1" }, create: { about: "1" } } } }',
      { data: { team: { connectOrCreate: { where: { id: "1" }, create: { about: json("1") } } } } },
    ],
    ['data: { team: { update: { about: "1" } } }', { data: { team: { update: { about: json("1") } } } }],
    [
      'data: { team: { update: { where: { about: { equals: "1" } }, data: { about: "2" } } } }',
      { data: { team: { update: { where: { about: { equals: json("1") } }, data: { about: json("2") } } } } },
    ],
    [
      'where: { id: "1" }, create: { settings: "1" }, update: { settings: "2" }',
      { where: { id: "1" }, create: { settings: json("1") }, update: { settings: json("2") } },
    ],
    [
      'where: { settings: { path: ["a"], equals: "1", string_contains: "x" } }',
      { where: { settings: { path: ["a"], equals: json("1"), string_contains: "x" } } },
    ],
    [
      'where: { settings: { not: { array_contains: ["1"] } } }',
      { where: { settings: { not: { array_contains: [json("1")] } } } },
    ],
    [
      'where: { OR: [{ settings: { equals: "1" } }, { NOT: { team: { is: { about: { not: "2" } } } } }] }',
      {
        where: {
          OR: [{ settings: { equals: json("1") } }, { NOT: { team: { is: { about: { not: json("2") } } } } }],
        },
      },
    ],
  ])("%s", (text, expected) => {
    expect(query(`mutation { updateOneUser(${text}) { id } }`).arguments).toEqual(expected);
  });

  test("in the arguments of a relation that is included", () => {
    const text =
      'query { findManyTeam { id users(where: { settings: { equals: "1" } }, take: 1) { id team { id } } } }';
    expect(query(text).selection).toEqual({
      id: true,
      users: {
        arguments: { where: { settings: { equals: json("1") } }, take: 1 },
        selection: { id: true, team: { arguments: {}, selection: { id: true } } },
      },
    });
  });
});

test("a field that is named twice is asked for once, with the parts of both", () => {
  const text = 'query { groupByUser(by: ["name"]) { name _count { _all } _count { id } name } }';
  expect(query(text).selection).toEqual({
    name: true,
    _count: { arguments: {}, selection: { _all: true, id: true } },
  });
});

test("answers lose their tags at every depth", () => {
  const tag = ($type: string, value: unknown) => ({ $type, value });
  expect(
    untagged({
      at: tag("DateTime", "2026-01-02T03:04:05.678+00:00"),
      big: tag("BigInt", "9007199254740993"),
      rows: [{ json: tag("Json", '{"$type":"x","value":1}'), none: null, n: 1 }],
    }),
  ).toEqual({
    at: "2026-01-02T03:04:05.678Z",
    big: "9007199254740993",
    rows: [{ json: '{"$type":"x","value":1}', none: null, n: 1 }],
  });
});

test("rows of SQL carry the type of every value, in arrays too", () => {
  const value = (type: string, content: unknown) => ({ prisma__type: type, prisma__value: content });
  const answer = {
    columns: ["a", "b", "c"],
    types: ["bigint", "int-array", "json"],
    rows: [["1", [1, null], null]],
  };
  expect(rawAnswer(answer)).toEqual([
    {
      a: value("bigint", "1"),
      b: value("array", [value("int", 1), value("null", null)]),
      c: value("null", null),
    },
  ]);
  expect(rawAnswer(3)).toBe(3);
});

describe("the connection string", () => {
  test("is that of the variable which the schema names", () => {
    expect(datasourceUrl(SCHEMA, { DATABASE_URL: "postgresql://a/b" })).toBe("postgresql://a/b");
    const literal = SCHEMA.replace('env("DATABASE_URL")', '"postgresql://c/d"');
    expect(datasourceUrl(literal, {})).toBe("postgresql://c/d");
  });

  test("is the client's own where it gives one", () => {
    const overwrite = JSON.stringify([{ name: "client", url: "postgresql://own/b" }]);
    const env = { DATABASE_URL: "postgresql://a/b", OVERWRITE_DATASOURCES: overwrite };
    expect(datasourceUrl(SCHEMA, env)).toBe("postgresql://own/b");
  });

  test("is missed by name", () => {
    expect(() => datasourceUrl(SCHEMA, {})).toThrow("Environment variable not found: DATABASE_URL.");
    expect(() => datasourceUrl("", {})).toThrow("The Prisma schema has no datasource.");
  });
});
