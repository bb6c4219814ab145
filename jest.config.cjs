const swc = ["@swc/jest", { jsc: { target: "es2022", parser: { syntax: "typescript" } } }];
const { availableParallelism } = require("node:os");
const { TEST_TIMEOUT } = require("./test/support/timeout.cjs");

const soak = process.env.GPUBOX_SOAK ? ["<rootDir>/test/support/soak.ts"] : [];
const project = (name, extra = {}) => ({
  displayName: name,
  testEnvironment: "<rootDir>/test/support/environment.cjs",
  rootDir: __dirname,
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  transform: { "\\.ts$": swc },
  // Pulumi's SDK loads an npm client and a compiler, which only serialised functions need: a second for each file that imports it.
  moduleNameMapper: { "^@npmcli/arborist$|/typescript-shim$": "<rootDir>/test/support/empty.cjs" },
  setupFiles: soak,
  ...extra,
});
/** The unit tests that need Jest's own clock or modules of their own. */
const OWN_MODULES = ["cli/progress", "program/walk"];

/** Files that share a process and what it has loaded: 0.8 s for each of the unit tests, 1.5 s where Pulumi is loaded too. */
const shared = {
  runner: "<rootDir>/tools/test/sharedRunner.mjs",
  setupFiles: ["<rootDir>/test/support/sharedProcess.mjs", ...soak],
};

module.exports = {
  testSequencer: "<rootDir>/tools/test/sequencer.cjs",
  // With one, unit tests would run in Jest's own process, which what they leave open keeps alive.
  maxWorkers: Math.max(2, availableParallelism()),
  testTimeout: TEST_TIMEOUT,
  projects: [
    project("unit", {
      ...shared,
      testPathIgnorePatterns: OWN_MODULES.map((name) => `/unit/${name}\\.test\\.ts$`),
    }),
    project("own-modules", { testMatch: OWN_MODULES.map((name) => `<rootDir>/test/unit/${name}.test.ts`) }),
    project("component", shared),
    project("contract"),
    // Any two of these files run beside each other.
    project("e2e", {
      testEnvironment: "<rootDir>/test/support/deadline.cjs",
      setupFilesAfterEnv: ["<rootDir>/test/support/secondTry.ts", "<rootDir>/test/support/afterFile.ts"],
      testMatch: ["<rootDir>/test/{e2e,load}/**/*.test.ts"],
    }),
    // What proves a claim once more, longer or under load: `npm run test:soak`.
    project("soak", { setupFilesAfterEnv: ["<rootDir>/test/support/afterFile.ts"] }),
  ],
};
