require("./endsWithRun.cjs");

/** Node's environment, in a worker that ends with its run. */
module.exports = require("jest-environment-node");
