import { z } from "zod";
import { memoryMiB, port, portBind, secretRef } from "./shared";

const externalLangfuse = z.strictObject({
  mode: z.literal("external").default("external"),
  host: z
    .url({ protocol: /^https?$/, error: "Write https://host or http://host:port." })
    .describe("Base URL of a Langfuse server that the gateway reaches."),
  publicKey: secretRef,
  secretKey: secretRef,
});

/** Metrics, alerts, dashboards, and traces for Langfuse. */
export const observabilitySchema = z.strictObject({
  mode: z
    .enum(["bundled", "none"])
    .default("none")
    .describe("`bundled`: Prometheus, Alertmanager, exporters and Grafana on this host. `none`: no metrics."),
  port: port.default(3000).describe("Port of the dashboards (Grafana), which ask for a password."),
  bind: portBind,
  prometheusPort: port
    .default(9090)
    .describe("Loopback port of Prometheus: queries, targets and alerts. It asks for no password."),
  scrapeSeconds: z.int().min(1).max(300).default(15).describe("Seconds between two readings."),
  retentionDays: z.int().min(1).max(3650).default(15).describe("Days that readings are kept."),
  memoryMiB: memoryMiB.default(1024).describe("Memory limit of Prometheus in MiB."),
  alerts: z
    .strictObject({
      webhook: secretRef
        .optional()
        .describe(
          "The secret that holds the URL which alerts are sent to, in Alertmanager's webhook format.",
        ),
    })
    .prefault({})
    .describe("Where alerts go. Without a webhook, Prometheus and the dashboards show them."),
  langfuse: z
    .discriminatedUnion("mode", [externalLangfuse], {
      // A box once ran Langfuse itself, with mode: bundled.
      error: ({ code }) =>
        code === "invalid_union"
          ? "Run Langfuse elsewhere, and write mode: external with its host and keys."
          : undefined,
    })
    .optional()
    .describe("Sends a trace of every request, prompt and answer included, to Langfuse. Needs no `mode`."),
});

export type ObservabilityConfig = z.infer<typeof observabilitySchema>;
