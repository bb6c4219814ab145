// In `npm run test:soak`, for properties that do not say how often they are tried.
import fc from "fast-check";

fc.configureGlobal({ numRuns: 2000 });
