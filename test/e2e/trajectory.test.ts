import { allocate } from "../support/allocate";
import { trajectoryStory } from "../support/trajectoryStory";

// Each kind of call, and each at both gateways. test/soak has a thousand.
trajectoryStory(allocate("traj"), {
  ...{ talks: 10, responses: 3, plain: 64, images: 24, gone: 8, broken: 6, wrong: 20 },
  under: 60,
});
