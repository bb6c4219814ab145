// @ts-check

// Prisma's command line wants to know the version of its engine as a library, which it does not use beyond that. Without a
// file here it would download one.
module.exports = { version: () => ({ commit: process.env.PRISMA_EXPECTED_ENGINE_VERSION ?? "wasm" }) };
