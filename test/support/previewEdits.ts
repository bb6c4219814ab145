/** Sections of a stack config, by their full name. */
export type Sections = Record<string, Record<string, unknown>>;

/** An edit of the stack config, and what has to follow from it. */
export interface Edit {
  /** What a person would call it. */
  what: string;
  /** @param port the first of the suite's ports */
  edit: (config: Sections, port: number) => void;
  /** The containers that are others after `up`. */
  replaces: string[];
  /** Where a preview shows the edit: a key of the stack config, or a model that comes or goes. */
  path: string;
  /** A secret that has to be there, and its value. */
  secret?: [name: string, value: string];
}

export const canned = { engine: "llamacpp", model: "canned", memoryMiB: 1024, threads: 1, parallel: 1 };

/** The models that the first edit finds. */
export const FIRST_MODELS = { steady: canned, tiny: { ...canned, ctxSize: 2048 }, third: { ...canned } };

const models = (config: Sections) => config["gpubox:models"] as Sections;

/** In groups of edits that do not touch each other: within a group, only the gateway belongs to more than one of them. */
export const EDITS: Edit[][] = [
  [
    {
      what: "an alias",
      edit: (config) => {
        models(config).tiny!.aliases = ["small"];
      },
      replaces: ["gateway"],
      path: "gpubox:models.tiny.aliases",
    },
    {
      what: "an engine's flag",
      edit: (config) => {
        models(config).tiny!.ctxSize = 4096;
      },
      replaces: ["backend-tiny", "gateway"],
      path: "gpubox:models.tiny.ctxSize",
    },
    {
      what: "a wait at the valve",
      edit: (config) => {
        models(config).tiny!.holdSeconds = 60;
      },
      replaces: ["gateway"],
      path: "gpubox:models.tiny.holdSeconds",
    },
    {
      what: "a model that runs elsewhere",
      edit: (config) => {
        models(config).far = {
          engine: "openai",
          baseUrl: "http://host.docker.internal:9/v1",
          start: "manual",
        };
      },
      replaces: ["gateway"],
      path: "far",
    },
    {
      what: "a model with a container",
      edit: (config) => {
        models(config).fourth = canned;
      },
      replaces: ["backend-fourth", "gateway", "valve-fourth"],
      path: "fourth",
    },
    {
      what: "a setting of the router",
      edit: (config) => {
        config["gpubox:gateway"]!.routing = { retries: 1 };
      },
      replaces: ["gateway"],
      path: "gpubox:gateway.routing",
    },
    {
      what: "a model's port of its own",
      edit: (config, port) => {
        models(config).third!.expose = { port: port + 5, key: { secret: "directKey" } };
      },
      replaces: ["gateway", "valve-third"],
      path: "gpubox:models.third.expose",
      secret: ["directKey", "sk-direct-0123456789abcdef"],
    },
    {
      what: "memory of a backend",
      edit: (config) => {
        models(config).third!.memoryMiB = 1100;
      },
      replaces: ["backend-third", "gateway"],
      path: "gpubox:models.third.memoryMiB",
    },
    {
      what: "memory of Redis",
      edit: (config) => {
        config["gpubox:cache"] = { memoryMiB: 300 };
      },
      replaces: ["cache"],
      path: "gpubox:cache.memoryMiB",
    },
  ],
  [
    {
      what: "a model less",
      edit: (config) => {
        delete models(config).third;
      },
      replaces: ["backend-third", "gateway", "valve-third"],
      path: "third",
    },
    {
      what: "no Redis",
      edit: (config) => {
        config["gpubox:cache"] = { mode: "none" };
      },
      replaces: ["cache", "gateway"],
      path: "gpubox:cache.mode",
    },
  ],
  [
    {
      what: "a port of the edge",
      edit: (config, port) => {
        config["gpubox:gateway"]!.port = port + 2;
      },
      replaces: ["edge"],
      path: "gpubox:gateway.port",
    },
  ],
];
