import { spawnSync } from "node:child_process";

/** The llama-swap on PATH, for hosts that cannot pull ghcr.io/mostlygeek/llama-swap; empty where there is none. */
export const llamaSwapProgram = spawnSync("sh", ["-c", "command -v llama-swap"]).stdout.toString().trim();
