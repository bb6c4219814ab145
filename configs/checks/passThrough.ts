import type { Problem } from "../kit/problems";
import known from "../litellm/keys.json";
import type { StackConfig } from "../stack/config";

/** Routes of LiteLLM's web application itself, which its own code names nowhere. */
const FRAMEWORK_ROOTS = ["docs", "redoc", "openapi.json", "metrics"];

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[::1?\])$/;

/** Routes that LiteLLM would answer itself, targets that it cannot reach, and header fields that it sets. */
export function checkPassThrough({ gateway }: StackConfig): Problem[] {
  const paths = Object.keys(gateway.passThrough);
  return Object.entries(gateway.passThrough).flatMap(([path, { target, apiKey, headers }]) => {
    const at = `gpubox:gateway.passThrough.${path}`;
    const parent = paths.find((one) => path.startsWith(`${one}/`) && gateway.passThrough[one]?.subpaths);
    return [
      ...rootProblem(path, at),
      ...(parent
        ? [{ path: at, what: `${parent} already takes what lies below it.`, fix: "Write one of them." }]
        : []),
      ...targetProblem(target, `${at}.target`),
      ...Object.keys(headers)
        .filter((name) => name.toLowerCase() === "authorization" && apiKey)
        .map((name) => ({
          path: `${at}.headers.${name}`,
          what: "`apiKey` sets this field.",
          fix: "Write one of them.",
        })),
    ];
  });
}

/** The edge opens the path on the clients' port, so it must be none of LiteLLM's own: most of those are for admins. */
function rootProblem(path: string, at: string): Problem[] {
  const root = path.split("/")[1]!;
  if (![...known.route_roots, ...FRAMEWORK_ROOTS].includes(root)) return [];
  return [
    {
      path: at,
      what: `LiteLLM ${known.version} has routes of its own below /${root}.`,
      fix: `Choose another first part, for example /my${path}.`,
    },
  ];
}

function targetProblem(target: string, path: string): Problem[] {
  if (!URL.canParse(target) || !/^https?:$/.test(new URL(target).protocol))
    return [
      {
        path,
        what: `"${target}" is not an http or https URL.`,
        fix: "Write it whole, for example http://192.168.1.5:8000/rank.",
      },
    ];
  const url = new URL(target);
  if (url.username || url.password)
    return [
      {
        path,
        what: "The URL carries credentials, which would be stored in plaintext.",
        fix: "Put the key into a secret and name it in `apiKey: { secret: … }`.",
      },
    ];
  if (LOOPBACK.test(url.hostname))
    return [
      {
        path,
        what: `${url.hostname} is the gateway container's own loopback, not the host's.`,
        fix: `Let the server listen on the Docker bridge and write ${url.protocol}//host.docker.internal${url.port && `:${url.port}`}${url.pathname}.`,
      },
    ];
  return [];
}
