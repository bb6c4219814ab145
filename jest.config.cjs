const swc = ["@swc/jest", { jsc: { target: "es2022", parser: { syntax: "typescript" } } }];
const project = (name, extra = {}) => ({
  displayName: name,
  testEnvironment: "node",
  rootDir: __dirname,
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  transform: { "\\.ts$": swc },
  setupFiles: process.env.GPUBOX_SOAK ? ["<rootDir>/test/support/soak.ts"] : [],
  ...extra,
});
/** Test files that need the machine to themselves, and why. */
const ALONE = {
  attack: "its floods and its time limits",
  deviceLock: "the seconds that engines wait for each other",
  doctor: "the ten seconds within which it names a fault",
  gc: "it lists what nothing on this engine uses",
  haproxySwitch: "it claims that no request is lost, at the rate that the machine can",
  hostFirewall: "the second host, of which there is one, and which the test of SSH uses beside the others",
  short: "it claims that no request is lost while a box changes",
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
