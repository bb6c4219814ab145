import { allocate } from "../support/allocate";
import { needs } from "../support/needs";
import { routingStories } from "./routing/balance";
import { RoutedBox } from "./routing/box";
import { cacheStories } from "./routing/cache";
import { conversationStories } from "./routing/conversations";
import { limitStories } from "./routing/limits";
import { routeStories } from "./routing/routes";
import { sdkStories } from "./routing/sdks";
import { wordStories } from "./routing/words";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("route");

needs("docker", "pulumi")("two gateways and their Redis", () => {
  const box = new RoutedBox();

  beforeAll(() => box.open(STACK, PORT), 15 * MINUTE);
  afterAll(() => box.close());
  beforeEach(() => box.stub.forget());

  cacheStories(box);
  limitStories(box);
  routingStories(box);
  conversationStories(box);
  wordStories(box);
  routeStories(box);
  sdkStories(box);
});
