/**
 * The floors of the house, the lowest first. A room imports from its own floor and from those below; types count as well.
 * @type {[name: string, rooms: string[]][]}
 */
const FLOORS = [
  ["what the config may say", ["configs/schema", "configs/secrets"]],
  ["the plan's own words", ["configs/kit"]],
  ["addresses and models", ["configs/network", "configs/models"]],
  ["LiteLLM and bodies", ["configs/litellm", "configs/bodies"]],
  ["engines", ["configs/engines"]],
  ["the whole stack config", ["configs/stack"]],
  ["capacity, policies, other boxes", ["configs/capacity", "configs/policy", "configs/remotes"]],
  ["checks", ["configs/checks"]],
  ["the plan", ["configs/plan", "configs/parse.ts"]],
  ["what touches the outside", ["components", "platform"]],
  ["operations", ["operations"]],
  ["the Pulumi program", ["program"]],
  ["the command line", ["cli", "index.ts"]],
  ["tools", ["tools"]],
];

const path = (rooms) => `^(${rooms.map((room) => room.replace(".", "\\.")).join("|")})(/|$)`;

const floors = FLOORS.slice(0, -1).map(([name, rooms], index) => ({
  name: `up-from ${name}`,
  comment: "Nothing imports from a higher floor. Move what both need down, or hand it in as an argument.",
  severity: "error",
  from: { path: path(rooms) },
  to: { path: path(FLOORS.slice(index + 1).flatMap(([, higher]) => higher)) },
}));

/** Rooms on one floor that know nothing of each other. */
const apart = [
  ["components", "platform"],
  ["configs/network", "configs/models"],
  ["configs/litellm", "configs/bodies"],
  ["configs/capacity", "configs/policy", "configs/remotes"],
].flatMap((rooms) =>
  rooms.map((room) => ({
    name: `apart ${room}`,
    comment: "These rooms are on one floor and know nothing of each other.",
    severity: "error",
    from: { path: path([room]) },
    to: { path: path(rooms.filter((other) => other !== room)) },
  })),
);

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: "no-circular",
      comment: "A circle of imports, of types too. Split names from the functions that use them.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "no-circle-of-rooms",
      comment: "Two rooms that import from each other are one room, or hide a third that both need.",
      severity: "error",
      scope: "folder",
      from: { path: "^(operations|platform)/[^/]+$" },
      to: { circular: true },
    },
    ...floors,
    ...apart,
    {
      name: "configs-are-pure",
      comment: "From a stack config to a plan there is no I/O: what is read is handed in.",
      severity: "error",
      from: { path: "^(configs|components)/" },
      to: {
        dependencyTypes: ["core"],
        path: "^(node:)?(fs|child_process|http|https|os|dns|tls|readline)(/|$)",
      },
    },
    {
      name: "pulumi-in-components",
      comment: "Only components and the program that Pulumi runs know its SDK.",
      severity: "error",
      from: { pathNot: "^(components/|program/|index\\.ts$|platform/stack/pulumiConfig\\.ts$|test/)" },
      to: { path: "node_modules/@pulumi/" },
    },
    {
      name: "not-to-tests",
      comment: "Only tools that measure use the tests' own boxes.",
      severity: "error",
      from: { pathNot: "^(test|tools)/" },
      to: { path: "^test/" },
    },
    {
      name: "no-orphans",
      comment: "Nobody imports it and it imports nothing: remove it.",
      severity: "error",
      from: { orphan: true, pathNot: "^(cli|tools)/|\\.json$" },
      to: {},
    },
    {
      name: "not-used",
      comment: "No program and no test of the house leads to it: remove it.",
      severity: "error",
      from: { path: "^(index\\.ts$|cli/|tools/)" },
      to: { path: "^(configs|components|platform|operations)/", reachable: false },
    },
    { name: "unresolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    // Types count: a type that two rooms share belongs below both.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(node_modules|\\.gpubox)" },
    moduleSystems: ["es6", "cjs"],
    enhancedResolveOptions: {
      extensions: [".ts", ".json", ".cjs", ".js"],
      conditionNames: ["import", "require", "node", "default"],
      exportsFields: ["exports"],
    },
  },
};
