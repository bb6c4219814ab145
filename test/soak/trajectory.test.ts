import { allocate } from "../support/allocate";
import { trajectoryStory } from "../support/trajectoryStory";

trajectoryStory(allocate("traj"), {
  ...{ talks: 50, responses: 5, plain: 560, images: 100, gone: 40, broken: 20, wrong: 60 },
  under: 120,
});
