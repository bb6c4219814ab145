import { createRunner } from "jest-light-runner";

/** Files of one project share a process for each core, and what it has loaded. */
export default class SharedRunner extends createRunner({ runtime: "child_process" }) {
  /**
   * Up to version 0.8.2 all processes of a project share a channel: what one asks for at its start is sent to all, and one that
   * does not listen yet never gets it and hangs the run. So only the first one keeps that channel.
   */
  _runTest(test) {
    const { _testRunners: runners, _globalConfig: globalConfig, _runtime: runtime } = this;
    const projectConfig = test.context.config;
    const isFirst = !runners.has(projectConfig);
    const result = super._runTest(test);
    if (isFirst && runtime === "child_process") {
      const runner = runners.get(projectConfig);
      const workerData = { globalConfig, projectConfig, runtime };
      runner.run = ({ path }) => runner.pool.run(path, { channel: channelWith(workerData) });
    }
    return result;
  }
}

/** What a process uses to ask for its configuration. */
function channelWith(workerData) {
  let answer;
  return {
    onMessage(listener) {
      answer = listener;
    },
    postMessage(message) {
      if (message === "jest-light-runner-get-worker-data")
        answer({ type: "jest-light-runner-worker-data", workerData });
    },
  };
}
