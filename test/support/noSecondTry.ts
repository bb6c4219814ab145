/**
 * Suites that claim that nothing is lost, or that no attack succeeds: there, once is too often
 * (docs/decisions/0022-second-try.md). A part of their paths.
 */
export const NO_SECOND_TRY = /\/test\/(load\/|e2e\/(attack|haproxySwitch|haproxyKeys|haproxyParallel)\.test)/;
