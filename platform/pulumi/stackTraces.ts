/**
 * The Pulumi program imports this first. Pulumi takes a stack trace for each promise of each resource and maps each
 * back to TypeScript: 0.35 s of a preview, for traces that nobody reads. A trace that is shown names the lines of the
 * transpiled file.
 */
process.setSourceMapsEnabled(false);
Reflect.deleteProperty(Error, "prepareStackTrace");
