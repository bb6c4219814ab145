import fc from "fast-check";
import { BODY_ROUTES } from "../../../configs/bodies/judged";
import { renderText } from "../../../configs/kit/text";
import { CLOSED_ROUTES, OPEN_ROUTES, routesFor, spellings } from "../../../configs/network/clientRoutes";
import { routeRules } from "../../../configs/plan/haproxy/routes";
import { ANY_MODE } from "../../../configs/schema/model";
import { testPlan } from "../../support/stacks";

const open = Object.keys(OPEN_ROUTES);

test("the guard looks at every open route that takes a body", () => {
  const bodies = open.filter((route) => !route.endsWith("/")).map((route) => route.slice("/v1/".length));
  expect(bodies.filter((route) => !Object.hasOwn(BODY_ROUTES, route))).toEqual([]);
});

test("every mode has a route, and with all of them none waits", () => {
  const { open: opened, waiting } = routesFor(ANY_MODE);
  expect([opened, waiting]).toEqual([open, []]);
  const used = new Set(Object.values(OPEN_ROUTES).flatMap((route) => ("modes" in route ? route.modes : [])));
  expect([...used].sort()).toEqual([
    ...["audio_speech", "audio_transcription", "image_generation", "moderation"],
  ]);
});

test("a route is open or waits for a model, never both, and a further model closes none", () => {
  const some = fc.subarray([...ANY_MODE]);
  fc.assert(
    fc.property(some, some, (few, more) => {
      const [before, after] = [routesFor(few), routesFor([...few, ...more])];
      expect([...before.open, ...before.waiting].sort()).toEqual([...open].sort());
      expect(after.open).toEqual(expect.arrayContaining(before.open));
    }),
  );
});

test("what is closed is none of what opens", () => {
  const roots = CLOSED_ROUTES.flatMap(({ roots }) => roots.flatMap((root) => spellings(`/v1/${root}`)));
  expect(new Set(roots).size).toBe(roots.length);
  expect(open.filter((route) => roots.includes(route))).toEqual([]);
});

test("the modes of a stack's models open the edge's routes, and the others name the mode that would", () => {
  const rules = (models: Record<string, unknown>) =>
    renderText(testPlan({ models }).edge.directory.files["haproxy.cfg"]!.text, {});
  const draws = { engine: "openai", baseUrl: "http://far:1/v1", mode: "image_generation", start: "manual" };
  const [without, having] = [rules({ m: { ...draws, mode: "chat" } }), rules({ m: draws })];
  const acl = "acl client_route var(txn.path) -m str /v1/images/edits\n";
  expect([without.includes(acl), having.includes(acl)]).toEqual([false, true]);
  const waits = "No model here answers this route: none has mode: image_generation.";
  expect([without.includes(waits), having.includes(waits)]).toEqual([true, false]);
});

test("no line of the rules is longer, and none has more words, than HAProxy reads", () => {
  for (const line of routeRules("closed")) {
    expect(line.length).toBeLessThan(2048);
    expect(line.split(" ").length).toBeLessThan(64);
  }
});
