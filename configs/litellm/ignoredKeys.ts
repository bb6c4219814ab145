import type { SettingsSection } from "./owned";

interface IgnoredKey {
  /** Sections where people write it. `env` is gpubox:gateway.env. */
  sections: (SettingsSection | "env")[];
  key: string;
  why: string;
  /** The setting to use instead. */
  use: string;
}

/**
 * Keys from guides and older versions that LiteLLM 1.106 never reads, or reads and ignores. It accepts all of them silently.
 * Upper and lower case make no difference.
 */
export const IGNORED_KEYS: IgnoredKey[] = [
  {
    sections: ["litellm"],
    key: "cache_kwargs",
    why: "LiteLLM reads it nowhere here",
    use: "gpubox:cache.ttlSeconds and its neighbours",
  },
  {
    sections: ["litellm"],
    key: "cache_type",
    why: "LiteLLM reads it nowhere",
    use: "gpubox:cache.type",
  },
  {
    sections: ["general", "litellm", "router"],
    key: "rate_limit_config",
    why: "LiteLLM reads it nowhere",
    use: "`rpm` and `tpm` of a model; limits of a key belong to a virtual key",
  },
  {
    sections: ["general"],
    key: "max_parallel_requests",
    why: "LiteLLM shows it and does not act on it",
    use: "gpubox:gateway.limits.maxParallel, or `maxParallel` of a model",
  },
  {
    sections: ["general"],
    key: "global_max_parallel_requests",
    why: "only LiteLLM's former limiter acts on it, which several gateways cannot share",
    use: "gpubox:gateway.limits.maxParallel",
  },
  {
    sections: ["general", "env"],
    key: "separate_health_app",
    why: "LiteLLM has removed it",
    use: "nothing: the edge asks /health/liveliness",
  },
  {
    sections: ["general", "env"],
    key: "supervisord_stopwaitsecs",
    why: "LiteLLM has removed it",
    use: "gpubox:gateway.drainTimeout",
  },
  {
    sections: ["general", "env"],
    key: "use_prisma_migrate",
    why: "LiteLLM has removed it; migrations are always Prisma's own",
    use: "nothing",
  },
  {
    sections: ["general", "litellm"],
    key: "num_workers",
    why: "it is a flag of the command and no setting",
    use: "gpubox:gateway.replicas",
  },
];
