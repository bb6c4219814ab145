/** Bundles the program only where a source is newer than the bundle. */
export function bundleIfStale(): void;
