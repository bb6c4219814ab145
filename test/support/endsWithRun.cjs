// A Jest that is killed leaves its workers behind, and each holds what its file started: servers, clusters, containers. So a worker goes
// when nobody listens to it any more. Here and not in a file's setup, whose `process` is a copy that hears of nothing.
process.once("disconnect", () => process.exit(1));
