/** Milliseconds that a test may take. What is slow is slow on two busy cores; tests that take minutes say so themselves. */
exports.TEST_TIMEOUT = process.env.GPUBOX_SOAK ? 20 * 60_000 : 180_000;
