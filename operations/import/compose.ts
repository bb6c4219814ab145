import { UserError } from "../../platform/process";
import type { FileSource } from "./collect";
import { Input } from "./input";
import type { Ledger, Path } from "./ledger";
import type { Variables } from "./values";

/** A compose file, with its variables filled in. */
export interface ComposeInput {
  services: Input[];
  input: Input;
  ledger: Ledger;
}

/** What `docker compose config` resolves, and what would be wrong to leave out silently. */
const FLATTEN = "Import what `docker compose config` prints: it resolves that.";

/**
 * Opens a compose file.
 *
 * @throws UserError, with the place, for what only Compose itself resolves: `include`, `extends`, a variable that has to be set
 */
export function openCompose({ value, file, place }: FileSource, variables: Variables): ComposeInput {
  const filled = interpolated(value, variables, [], (path, what) => {
    throw new UserError(`${place(path)}: ${what}.`, `Set it in .env beside ${file}, or in the environment.`);
  });
  const { input, ledger } = Input.open(filled);
  const include = input.at("include");
  if (include) throw new UserError(`${place(include.path)}: it includes other files.`, FLATTEN);
  const services = input.at("services")?.children() ?? [];
  const extended = services.map((service) => service.at("extends")).find((one) => one !== undefined);
  if (extended) throw new UserError(`${place(extended.path)}: the service extends another.`, FLATTEN);
  for (const top of input.children())
    if (top.name.startsWith("x-")) top.lose("an extension: what services use of it was read there");
    else if (["volumes", "networks"].includes(top.name))
      top.lose("the box has volumes and networks of its own");
    else if (["version", "name"].includes(top.name)) top.carry("gpubox");
  return { services, input, ledger };
}

/** `$NAME`, `${NAME}`, and those with a default, an alternative or an error; `$$` is a dollar. */
const VARIABLE = /\$(?:\$|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-?+])((?:[^{}]|\{[^}]*\})*))?\})/g;

type Refuse = (path: Path, what: string) => never;

function interpolated(value: unknown, variables: Variables, path: Path, refuse: Refuse): unknown {
  if (typeof value === "string") return filledText(value, variables, path, refuse);
  if (Array.isArray(value))
    return value.map((inner, index) => interpolated(inner, variables, [...path, index], refuse));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      interpolated(inner, variables, [...path, key], refuse),
    ]),
  );
}

function filledText(text: string, variables: Variables, path: Path, refuse: Refuse): string {
  return text.replace(VARIABLE, (whole, bare?: string, braced?: string, operator?: string, word = "") => {
    const name = bare ?? braced;
    if (name === undefined) return whole === "$$" ? "$" : whole;
    const value = variables.get(name);
    const set = operator?.startsWith(":") ? Boolean(value) : value !== undefined;
    if (operator?.endsWith("+")) return set ? word : "";
    if (set) return value!;
    if (operator?.endsWith("?")) return refuse(path, `the variable ${name} is not set`);
    return operator ? filledText(word, variables, path, refuse) : "";
  });
}
