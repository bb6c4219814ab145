const swc = ["@swc/jest", { jsc: { target: "es2022", parser: { syntax: "typescript" } } }];
const project = (name, extra = {}) => ({
  displayName: name,
  testEnvironment: "node",
  rootDir: __dirname,
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  transform: { "\\.ts$": swc },
  // Pulumi's SDK loads an npm client and a compiler, which only serialised functions need: a second for each file that imports it.
  moduleNameMapper: { "^@npmcli/arborist$|/typescript-shim$": "<rootDir>/test/support/empty.cjs" },
  setupFiles: process.env.GPUBOX_SOAK ? ["<rootDir>/test/support/soak.ts"] : [],
  ...extra,
});
/** The test file that needs the machine to itself, and why. All others run beside any other. */
const ALONE = {
  short: "the two minutes within which a change serves, at the load that it makes itself",
};

const e2e = {
  setupFilesAfterEnv: ["<rootDir>/test/support/secondTry.ts", "<rootDir>/test/support/afterFile.ts"],
};
const files = (names) => names.map((name) => `<rootDir>/test/{e2e,load}/${name}.test.ts`);

module.exports = {
  testSequencer: "<rootDir>/tools/test/sequencer.cjs",
  // What is slow is slow on two busy cores; tests that take minutes say so themselves.
  testTimeout: process.env.GPUBOX_SOAK ? 20 * 60_000 : 60_000,
  projects: [
    project("unit"),
    project("component"),
    project("contract"),
    project("e2e", {
      ...e2e,
      testMatch: files(["**/*"]),
      testPathIgnorePatterns: Object.keys(ALONE).map((name) => `/(e2e|load)/${name}\\.test\\.ts$`),
    }),
    project("alone", { ...e2e, testMatch: files(Object.keys(ALONE)) }),
    // What proves a claim once more, longer or under load: `npm run test:soak`.
    project("soak", { setupFilesAfterEnv: ["<rootDir>/test/support/afterFile.ts"] }),
  ],
};
