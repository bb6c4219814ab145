import type { EngineContainer } from "../engines/engine";
import type { Ranks } from "../engines/nodes";

/** Where assets/backend/ranks.py says how far its rank is. */
const STATE = "/tmp/gpubox-rank";

/** The program that every rank of a server over several hosts runs in. */
const RANKS_COMMAND = ["python3", "/etc/gpubox/ranks.py"];

/**
 * Wraps the command of an engine that spans hosts: it starts once all of its ranks are there, and ends with the first that is not.
 * Around everything else, so that a rank which waits for the others holds no device.
 *
 * @param image what all of them run
 */
export function inRanks<T extends EngineContainer>(engine: T, ranks: Ranks, image: string): T {
  const { rank, hosts, port, generation } = ranks;
  return {
    ...engine,
    entrypoint: [...RANKS_COMMAND, ...engine.entrypoint],
    env: {
      ...engine.env,
      GPUBOX_RANK: String(rank),
      GPUBOX_RANKS: hosts.map(({ address, stack }) => `${address}=${stack}`).join(","),
      GPUBOX_RANKS_PORT: String(port - 1),
      GPUBOX_RANKS_IS: JSON.stringify({ generation, image }),
      ...(rank === 0 ? { GPUBOX_RANKS_PROBE: `http://127.0.0.1:${engine.port}${engine.healthPath}` } : {}),
    },
    assets: { ...engine.assets, "ranks.py": "backend/ranks.py" },
  };
}

/** What a rank other than 0 can be asked: it has no server, and rank 0 tells it when that one answers. */
export function workerProbe(): string[] {
  return ["CMD", "grep", "-qx", "serving", STATE];
}

/**
 * The step after which a rank counts as up: it waits for the others, or all of them serve. One that starts is waited for. A host can
 * do no more by itself; the model is proven through rank 0.
 */
export function workerGate(stack: string): string {
  return `end=$(($(date +%s) + GPUBOX_SECONDS))
while :; do
  case "$(docker exec "$GPUBOX_CONTAINER" cat ${STATE} 2>/dev/null)" in
    serving) exit 0 ;;
    waiting) echo "$GPUBOX_NAME waits for the other hosts: \`gpubox up --stack ${stack}\` proves the model"; exit 0 ;;
  esac
  case "$(docker inspect --format '{{.State.Status}} {{.RestartCount}}' "$GPUBOX_CONTAINER")" in
    "running "[0-2]|"created "*|"restarting "[0-2]) [ "$(date +%s)" -lt "$end" ] && sleep 1 && continue ;;
  esac
  echo "$GPUBOX_NAME did not come up. Its last words:" >&2
  docker logs --tail 15 "$GPUBOX_CONTAINER" >&2
  exit 1
done`;
}
