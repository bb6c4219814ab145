/**
 * Imported first by the Pulumi program. Pulumi takes a stack trace for each promise of each resource, and each is mapped back
 * to TypeScript: 0.35 s of a preview, for traces that nobody reads. One that is shown names the lines of the transpiled file.
 */
process.setSourceMapsEnabled(false);
Reflect.deleteProperty(Error, "prepareStackTrace");
