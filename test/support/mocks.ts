import * as pulumi from "@pulumi/pulumi";
import { pause } from "./wait";

/** A resource as the program registered it, with the options that mocks alone do not show. */
export interface Registered {
  type: string;
  name: string;
  parent: string;
  inputs: Record<string, unknown>;
  dependsOn: string[];
  /** Undefined: the provider decides. */
  deleteBeforeReplace: boolean | undefined;
  retainOnDelete: boolean;
  provider: string;
}

interface RegisterRequest {
  getType(): string;
  getName(): string;
  getParent(): string;
  getObject(): { toJavaScript(): Record<string, unknown> } | undefined;
  getDependenciesList(): string[];
  getDeletebeforereplace(): boolean;
  getDeletebeforereplacedefined(): boolean;
  getRetainondelete(): boolean;
  getProvider(): string;
}

interface Monitor {
  registerResource(request: RegisterRequest, callback: unknown): unknown;
}

/** The last part of a URN: the logical name. */
export function nameOf(urn: string): string {
  return urn.split("::").at(-1) ?? "";
}

/**
 * Runs a program against mocks and returns everything that it registered, once all of it is.
 *
 * @param isPreview true: the program is told that nothing will change
 */
export async function registered(program: () => unknown, isPreview = false): Promise<Registered[]> {
  await pulumi.runtime.setMocks(
    {
      newResource: (args) => ({ id: `${args.name}-id`, state: { name: args.name, ...args.inputs } }),
      call: (args) => args.inputs,
    },
    "gpubox",
    "test",
    isPreview,
  );
  const found: Registered[] = [];
  const monitor = pulumi.runtime.getMonitor() as unknown as Monitor;
  const original = monitor.registerResource.bind(monitor);
  monitor.registerResource = (request, callback) => {
    found.push({
      type: request.getType(),
      name: request.getName(),
      parent: nameOf(request.getParent()),
      inputs: request.getObject()?.toJavaScript() ?? {},
      dependsOn: request.getDependenciesList().map(nameOf),
      deleteBeforeReplace: request.getDeletebeforereplacedefined()
        ? request.getDeletebeforereplace()
        : undefined,
      retainOnDelete: request.getRetainondelete(),
      provider: request.getProvider(),
    });
    return original(request, callback);
  };
  program();
  // A resource registers when all that it waits for has: the program is done when nothing came for a while.
  for (let before = -1; before !== found.length; ) {
    before = found.length;
    await pause(300, "no event tells that a program registers nothing more");
  }
  return found;
}

/** True for a value that was sent to the engine as a secret. */
export function isSecret(value: unknown): boolean {
  const marker = "4dabf18193072939515e22adb298388d";
  return typeof value === "object" && value !== null && marker in value;
}
