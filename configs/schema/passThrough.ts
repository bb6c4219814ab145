import { z } from "zod";
import { secretRef } from "./shared";

const header = z.string().regex(/^[A-Za-z0-9-]+$/, "A header's name is letters, digits and -.");

export const passThroughSchema = z
  .record(
    z
      .string()
      .regex(
        /^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9_.~-]+)+$/,
        "Write the route's path, for example /rank: letters, digits and _ . ~ - between slashes.",
      ),
    z.strictObject({
      target: z.string().describe("Where requests go: http://host:8000/rank."),
      apiKey: secretRef
        .optional()
        .describe("Sent as `Authorization: Bearer …`. Default: the target wants no key."),
      headers: z
        .record(header, z.union([z.string(), secretRef]))
        .default({})
        .describe(
          "More header fields for the target. Keys by their secrets: x-api-key: { secret: rankKey }.",
        ),
      subpaths: z
        .boolean()
        .default(false)
        .describe("What lies below the path goes to what lies below the target."),
      methods: z
        .array(z.enum(["GET", "POST", "PUT", "DELETE", "PATCH"]))
        .min(1)
        .default(["POST"])
        .describe("Methods that the route takes."),
      timeoutSeconds: z.int().min(1).max(86_400).default(600).describe("Seconds that the target may take."),
      costPerRequest: z
        .number()
        .positive()
        .optional()
        .describe("US dollars that a request is booked with. Default: 0."),
    }),
  )
  .default({})
  .describe(
    "Routes on the clients' port that go to a server as they come, past models and their limits. Clients need a key of this box.",
  );

export type PassThroughConfig = z.infer<typeof passThroughSchema>;
