/** What the engines in Python have in common: where they write, and what they must not send. */

/** Where the writable directory that outlives restarts is mounted. */
export const CACHE = "/cache";

/**
 * Compiled kernels, graphs and tokenizers are kept over restarts: without them a start compiles for minutes. Weights come
 * from the box, so the hub is never asked.
 */
export const PYTHON_ENV: Record<string, string> = {
  HOME: CACHE,
  XDG_CACHE_HOME: CACHE,
  HF_HOME: `${CACHE}/huggingface`,
  HF_HUB_OFFLINE: "1",
  HF_HUB_DISABLE_TELEMETRY: "1",
  DO_NOT_TRACK: "1",
  TRITON_CACHE_DIR: `${CACHE}/triton`,
  TORCHINDUCTOR_CACHE_DIR: `${CACHE}/inductor`,
  FLASHINFER_WORKSPACE_BASE: CACHE,
  CUDA_CACHE_PATH: `${CACHE}/nv`,
  PYTHONDONTWRITEBYTECODE: "1",
};

/** Compilers load what they write here, so it must be executable. */
export const PYTHON_TMPFS = { "/tmp": "rw,exec,nosuid,size=4g,mode=1777" };

/** The key between gateway and backend as an environment variable, from a file and never from `docker run`. */
export const WITH_ENV = { "with-env.sh": "backend/with-env.sh" };
export const WITH_ENV_COMMAND = ["sh", "/etc/gpubox/with-env.sh"];
