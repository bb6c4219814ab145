// Real engines on a busy machine miss a deadline now and then. A test that fails is tried once more, and `npm test` names it.
import { NO_SECOND_TRY } from "./noSecondTry";

if (!NO_SECOND_TRY.test(expect.getState().testPath ?? ""))
  jest.retryTimes(1, { logErrorsBeforeRetry: true, retryImmediately: true });
