import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { packageDir } from "../platform/project";
import { cannedModel } from "./cannedModel";

// Writes the committed file of the canned model: gzip in base64, since a plan and its steps are text.
const packed = gzipSync(cannedModel(), { level: 9 }).toString("base64");
writeFileSync(
  join(packageDir, "assets/llamacpp/canned.gguf.gz.b64"),
  `${packed.replace(/.{100}/g, "$&\n")}\n`,
);
