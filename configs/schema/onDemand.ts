import { z } from "zod";

/** Seconds without a request until a model that is loaded on demand is unloaded, unless its entry says otherwise. */
export const IDLE_SECONDS = 300;

/** What an entry has whose engine can be loaded on demand. `start` takes the place of that of every entry. */
export const onDemand = {
  start: z
    .enum(["auto", "manual", "ondemand"])
    .default("auto")
    .describe(
      "`manual`: somebody starts the server when it is needed (`gpubox model start NAME`); it may be down, and `up` neither starts, stops nor asks it. `ondemand`: a request loads the model, and it is unloaded when nobody asks any more.",
    ),
  slot: z
    .string()
    .regex(
      /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/,
      "A slot's name is lower-case letters, digits and dashes, at most 40 characters.",
    )
    .optional()
    .describe(
      "With `start: ondemand`: of the models with the same slot one is loaded at a time; a request to another takes its place. Default: a slot of its own.",
    ),
  idleSeconds: z
    .int()
    .min(0)
    .optional()
    .describe(
      "With `start: ondemand`: seconds without a request until it is unloaded; 0: it stays until another one wants the slot. Default: 300.",
    ),
};
