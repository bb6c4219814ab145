import type { RequiredSecret } from "./requiredSecrets";
import type { AccessConfig } from "./schema/access";

/** The secrets of the declared keys and of the UI's login. */
export function accessSecrets(access: AccessConfig): RequiredSecret[] {
  return [
    ...virtualKeys(access),
    ...(access.ui ? [{ name: access.ui.password.secret, path: "gpubox:access.ui.password" }] : []),
  ];
}

/** The secrets whose values are virtual keys, those of before too. */
export function virtualKeys({ keys }: AccessConfig): RequiredSecret[] {
  return Object.entries(keys).flatMap(([name, { key, previous }]) => [
    { name: key.secret, path: `gpubox:access.keys.${name}.key` },
    ...(previous ? [{ name: previous.secret, path: `gpubox:access.keys.${name}.previous` }] : []),
  ]);
}

/** Secrets that `npm run up` makes when they are missing: the keys, but never a key of before. */
export function generatedKeys({ keys }: AccessConfig): string[] {
  return [...new Set(Object.values(keys).map(({ key }) => key.secret))];
}
