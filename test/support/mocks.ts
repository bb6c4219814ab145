import * as pulumi from "@pulumi/pulumi";

/** A resource as the program registered it, with the options that mocks alone do not show. */
export interface Registered {
  type: string;
  name: string;
  parent: string;
  /** What Pulumi knows it by in a stack's state: the types of the components around it, as far as mocks tell them, its own, its name. */
  identity: string;
  /** Identities that it takes over from a state. */
  aliases: string[];
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
  getAliasesList(): { getUrn(): string; getSpec(): AliasSpec | undefined }[];
}

/** What is empty is the resource's own. */
interface AliasSpec {
  getName(): string;
  getType(): string;
  getParenturn(): string;
}

interface Monitor {
  registerResource(request: RegisterRequest, callback: unknown): unknown;
}

/** The last part of a URN: the logical name. */
export function nameOf(urn: string): string {
  return urn.split("::").at(-1) ?? "";
}

/** The part of a URN that is the same in every stack and project. */
function identityOf(urn: string): string {
  return urn.split("::").slice(2).join("::").replace("pulumi:pulumi:Stack$", "");
}

function identityIn(parent: string, type: string, name: string): string {
  const types = identityOf(parent).split("::")[0]!;
  const around = types === "" || types === "pulumi:pulumi:Stack" ? "" : `${types}$`;
  return `${around}${type}::${name}`;
}

function aliasesOf(request: RegisterRequest): string[] {
  return request.getAliasesList().map((alias) => {
    const spec = alias.getSpec();
    return spec
      ? identityIn(
          spec.getParenturn() || request.getParent(),
          spec.getType() || request.getType(),
          spec.getName() || request.getName(),
        )
      : identityOf(alias.getUrn());
  });
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
      identity: identityIn(request.getParent(), request.getType(), request.getName()),
      aliases: aliasesOf(request),
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
  try {
    program();
  } finally {
    // Also of a program that ends in the middle: what it began would meet the next one's mocks.
    await ended(found);
  }
  return found;
}

/** Waits for what Pulumi waits for when a program ends. What an output makes begins in a turn of its own. */
async function ended(found: Registered[]): Promise<void> {
  const { waitForRPCs } = pulumi.runtime as unknown as { waitForRPCs(): Promise<void> };
  for (let before = -1; before !== found.length; await new Promise(setImmediate)) {
    before = found.length;
    await waitForRPCs();
  }
}

/** True for a value that was sent to the engine as a secret. */
export function isSecret(value: unknown): boolean {
  const marker = "4dabf18193072939515e22adb298388d";
  return typeof value === "object" && value !== null && marker in value;
}
