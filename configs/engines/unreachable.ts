/** Flags after which no gateway reaches the server of an entry, or another model answers than the entry's. */

import type { Problem } from "../kit/problems";
import type { CommandLine } from "./engine";
import { givenFlags, type KnownFlag, knowing } from "./spelling";

interface Row {
  flags: string[];
  what: string;
  fix: string;
  /** Values that change nothing. */
  harmless?: string[];
}

const plainHttp = (flags: string): Row => ({
  flags: flags.split(" "),
  what: "The gateway asks the server by plain HTTP at the model's port, and would not reach it.",
  fix: "Leave it out; gpubox:gateway.tls is for clients.",
});

const ends = (flags: string): Row => ({
  flags: flags.split(" "),
  what: "The server would print something and end.",
  fix: "Leave it out.",
});

const oneServer = (flags: string, harmless?: string[]): Row => ({
  flags: flags.split(" "),
  what: "Here a server is one container on one host, and this one would wait for others.",
  fix: "Leave it out; several servers behind one name are instances, and one over several hosts is `nodes`.",
  harmless,
});

const ROWS: Record<string, Row[]> = {
  llamacpp: [
    plainHttp("--ssl-key-file --ssl-cert-file --api-prefix"),
    ends("--help --version --list-devices --cache-list --completion-bash"),
    {
      flags: [
        ...["--hf-repo", "--hf-file", "--model-url", "--docker-repo", "--embd-gemma-default"],
        ...["--fim-qwen-1.5b-default", "--fim-qwen-3b-default", "--fim-qwen-7b-default"],
        ...["--fim-qwen-7b-spec", "--fim-qwen-14b-spec", "--fim-qwen-30b-default", "--gpt-oss-20b-default"],
        ...["--gpt-oss-120b-default", "--vision-gemma-4b-default", "--vision-gemma-12b-default"],
      ],
      what: "The server would look for another model than the entry's, in a network that it has not.",
      fix: "Leave it out, and write model: hf://owner/repo/file.gguf.",
    },
  ],
  vllm: [
    plainHttp(
      "--uds --ssl-keyfile --ssl-certfile --ssl-ca-certs --ssl-cert-reqs --enable-ssl-refresh --grpc",
    ),
    ends("--help"),
    oneServer(
      "--headless --data-parallel-rank --data-parallel-external-lb --data-parallel-hybrid-lb --data-parallel-multi-port-external-lb",
    ),
    oneServer("--nnodes", ["1"]),
    oneServer("--node-rank", ["0"]),
  ],
  sglang: [
    plainHttp("--ssl-keyfile --ssl-certfile --ssl-ca-certs --ssl-keyfile-password --enable-ssl-refresh"),
    plainHttp("--grpc-mode --smg-grpc-mode"),
    ends("--help"),
    oneServer("--disaggregation-mode", ["null"]),
    oneServer("--nnodes", ["1"]),
    oneServer("--node-rank", ["0"]),
  ],
};

/** Refuses flags, and variables that stand for them, with which a server starts and nobody reaches it. */
export function checkReachable(
  model: { engine: string },
  commandLine: CommandLine | undefined,
  path: string,
): Problem[] {
  const { extraArgs = [], env = {} } = model as { extraArgs?: string[]; env?: Record<string, string> };
  const rows = ROWS[model.engine] ?? [];
  const parser = knowing(
    commandLine?.parser ?? {},
    rows.flatMap(({ flags }) => flags),
  );
  const rowOf = ({ names }: KnownFlag) =>
    rows.find(({ flags }) => names.some((name) => flags.includes(name)));
  const words = givenFlags(extraArgs, parser).flatMap(({ flag, as, value, off }) => {
    const row = rowOf(flag);
    if (!row || off || (value !== undefined && row.harmless?.includes(value))) return [];
    return [{ path: `${path}.extraArgs`, what: `"${as}": ${row.what}`, fix: row.fix }];
  });
  const variables = (parser.flags ?? []).flatMap((flag) => {
    const row = rowOf(flag);
    const set = row ? (flag.env ?? []).filter((name) => Object.hasOwn(env, name)) : [];
    return set.map((name) => ({ path: `${path}.env.${name}`, what: row!.what, fix: row!.fix }));
  });
  return [...words, ...variables];
}
