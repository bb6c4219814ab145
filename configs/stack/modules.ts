import type { Problem } from "../kit/problems";
import type { ModuleTexts } from "../litellm/modules";
import type { GatewayConfig } from "../schema/gateway";
import type { StackConfig } from "./config";
import type { OwnFiles } from "./ownFiles";

/** The modules that a stack's gateways import. */
export function modulesOf({ gateway, ownFiles = {} }: StackConfig): ModuleTexts {
  return Object.fromEntries(Object.entries(gateway.modules).map(([name, path]) => [name, ownFiles[path]]));
}

/** Mistakes in the files of `gateway.modules`. */
export function checkModules({ modules }: GatewayConfig, files: OwnFiles): Problem[] {
  return Object.entries(modules).flatMap(([name, path]) => {
    const file = files[path] ?? { what: `${path} has not been read.`, fix: "Put it beside the stack file." };
    return "text" in file ? [] : [{ path: `gpubox:gateway.modules.${name}`, what: file.what, fix: file.fix }];
  });
}
