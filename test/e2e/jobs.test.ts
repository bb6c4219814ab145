import { allocate } from "../support/allocate";
import { needs } from "../support/needs";
import { JobsBox } from "./jobs/box";
import { changeStories, rebootStory } from "./jobs/changes";
import { refusalStories } from "./jobs/refused";
import { runningStories } from "./jobs/running";
import { settingStories } from "./jobs/settings";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("jobs");

needs("docker", "pulumi")("jobs on a box that logs its own gateway too", () => {
  const box = new JobsBox(STACK, PORT);

  beforeAll(() => box.open(), 15 * MINUTE);
  afterAll(() => box.close());

  // Each begins with the jobs that the one before left.
  runningStories(box);
  refusalStories(box);
  changeStories(box);
  settingStories(box);
  rebootStory(box);
});
