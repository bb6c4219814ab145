import { join } from "node:path";
import { z } from "zod";
import { type OwnImage, ownImageOf } from "../../configs/kit/imageRoles";
import { ownContainer } from "../../configs/schema/ownContainer";
import { UserError } from "../process";
import { readYaml } from "../userFiles";
import { splitConfig, stackFilesIn } from "./boxFiles";

const models = z.record(z.string(), z.unknown());
const withImage = z.object({ image: ownContainer.image.unwrap() });
const withInstances = z.object({ instances: z.array(z.unknown()) });

/** The images that models of a project's stacks name themselves. A stack file or an entry with a mistake names none. */
export function ownImagesOf(projectDir: string): OwnImage[] {
  const found = stackFilesIn(projectDir).flatMap((name) =>
    Object.values(modelsIn(join(projectDir, name))).flatMap((entry) =>
      [entry, ...(withInstances.safeParse(entry).data?.instances ?? [])].flatMap((one) => {
        const named = withImage.safeParse(one);
        return named.success ? [ownImageOf(named.data.image)] : [];
      }),
    ),
  );
  return [...new Set(found)].sort();
}

function modelsIn(path: string): Record<string, unknown> {
  try {
    return models.safeParse(splitConfig(readYaml(path) ?? {}).values.models).data ?? {};
  } catch (error) {
    if (error instanceof UserError || error instanceof z.ZodError) return {};
    throw error;
  }
}
