const swc = ["@swc/jest", { jsc: { target: "es2022", parser: { syntax: "typescript" } } }];
const project = (name, extra = {}) => ({
  displayName: name,
  testEnvironment: "node",
  rootDir: __dirname,
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  transform: { "\\.ts$": swc },
  ...extra,
});
module.exports = {
  // What is slow is slow on two busy cores; tests that take minutes say so themselves.
  testTimeout: 60_000,
  projects: [
    project("unit"),
    project("component"),
    project("contract"),
    project("e2e", {
      testMatch: ["<rootDir>/test/{e2e,load}/**/*.test.ts"],
      setupFilesAfterEnv: ["<rootDir>/test/support/secondTry.ts"],
    }),
  ],
};
