import { engines } from "../../configs/engines";
import { imageRoles } from "../../configs/kit/imageRoles";
import { featureCells } from "../../tools/featureTable/features";
import { readContract } from "./engines/contract";

/** A server that its entry describes has no release to read. */
const contained = Object.entries(engines).filter(
  ([name, engine]) => engine.container && name !== "container",
);

test.each(contained)("%s claims a contract only where its released code is read", (name, { features }) => {
  const { source } = readContract(name);
  expect(features.known).toBe("registry" in source ? "contract" : "vendor");
  if (!("registry" in source))
    expect(Object.values(features.says ?? {}).filter(({ known }) => known === "contract")).toEqual([]);
});

test.each(contained)("every word in code that the matrix has of %s exists", (name, { keys }) => {
  const { flags, env, endpoints } = readContract(name);
  const known = new Set<string>([
    ...keys,
    ...imageRoles,
    ...flags.flatMap(({ names }) => names),
    ...env.map((variable) => variable.name),
    ...endpoints.map(({ method, path }) => `${method} ${path}`),
  ]);
  const words = Object.values(featureCells()[name] ?? {}).flatMap(({ text }) =>
    [...text.matchAll(/`([^`]+)`/g)].map(([, word]) => word!),
  );
  expect(words.length).toBeGreaterThan(0);
  expect(words.filter((word) => !known.has(word))).toEqual([]);
});

const PATHS = {
  chat: "/v1/chat/completions",
  completions: "/v1/completions",
  messages: "/v1/messages",
  responses: "/v1/responses",
  embeddings: "/v1/embeddings",
  rerank: "/v1/rerank",
  transcriptions: "/v1/audio/transcriptions",
  speech: "/v1/audio/speech",
} as const;

test.each(contained)("every native route that the matrix has of %s is in its contract", (name) => {
  const row = featureCells()[name] ?? {};
  const { endpoints } = readContract(name);
  const native = (Object.keys(PATHS) as (keyof typeof PATHS)[]).filter((one) => row[one]?.text === "native");
  const missing = native.filter(
    (one) => !endpoints.some(({ method, path }) => method === "POST" && path === PATHS[one]),
  );
  expect(missing).toEqual([]);
});

test("an engine without metrics has no route for them", () => {
  for (const name of ["ollama", "speaches"])
    expect(readContract(name).endpoints.filter(({ path }) => path === "/metrics")).toEqual([]);
});
