import type { ServicePlan } from "../kit/containerPlan";
import { directory } from "../kit/text";
import { backendName, modelSlug } from "../stack/instances";
import { assetFiles, type BackendSpec, container, health, imageOf, type PlanContext } from "./context";
import { memoryFloorMiB, startPeriodOf, takingTurns } from "./deviceLock";
import { networksOfRank } from "./foreignNetworks";
import { distinctMounts } from "./ownContainer";
import { inRanks, workerProbe } from "./ranks";
import { seatDirectories, seated } from "./seat";
import { valveName } from "./valve";

/** Seconds from the start of a seat's container until it takes commands. It loads nothing by itself. */
const SEAT_SECONDS = 60;

/** Unprivileged; model files are readable by all. */
export const NOBODY = "65534:65534";

/**
 * The container of a model server, or of a rank of one.
 *
 * @param name its logical one. Default: that of a backend
 */
export function planServer(
  context: PlanContext,
  backend: BackendSpec,
  deadlineSeconds: number,
  name = backendName(backend.instance),
): ServicePlan {
  const user = backend.engine.user ?? NOBODY;
  const [uid = 0, gid = 0] = user.split(":").map(Number);
  const { group, ranks } = backend;
  const seat =
    group === undefined
      ? undefined
      : seatDirectories(context.dataDir, group, modelSlug(backend.instance), { uid, gid });
  // A rank ends with the others, so nobody starts one again by itself.
  const alone = ranks ? { ...backend.engine, watch: undefined } : backend.engine;
  const probed = ranks && ranks.rank > 0 ? { ...alone, healthTest: workerProbe() } : alone;
  const floorMiB = memoryFloorMiB(context.config.host.gpus, probed);
  const turned = takingTurns(context.dataDir, probed, { floorMiB });
  const rankImage = imageOf(context, backend.engine.ownImage ?? backend.engine.image);
  // Twice its own time: another one may load on its device first.
  const engine = seat
    ? seated(
        turned,
        backend.engine.healthTest,
        { seat: seat.seat.path, orders: seat.orders.path },
        2 * backend.engine.readySeconds,
      )
    : ranks && context.target !== "kubernetes"
      ? inRanks(turned, ranks, rankImage)
      : turned;
  const {
    image,
    ownImage,
    user: ______,
    port,
    mounts,
    ownMounts = [],
    readySeconds: _____,
    ...rest
  } = engine;
  const {
    healthPath: _,
    healthText: __,
    metricsPath: ____,
    healthTest,
    files = {},
    assets = {},
    weights: ___,
    sleep: _______,
    watch: ________,
    ...choices
  } = rest;
  const own = directory(
    `${context.dataDir}/${name}`,
    gid,
    { ...files, ...assetFiles(context, assets) },
    context.secrets,
  );
  const config = { kind: "directory" as const, source: own.path, target: "/etc/gpubox", readOnly: true };
  return {
    directory: own,
    valves: [valveName(backend.instance)],
    writable: [
      ...mounts
        .filter(({ readOnly, source }) => !readOnly && source !== seat?.seat.path)
        .map(({ source }) => ({ path: source, uid, gid })),
      ...(seat ? [seat.seat, seat.orders] : []),
    ],
    container: container(
      context,
      {
        ...choices,
        name,
        role: image,
        ...(ownImage && { ownImage }),
        env: { HOME: "/tmp", ...engine.env },
        user,
        ...(ranks ? networksOfRank(ranks, name) : { networks: { backends: [name] } }),
        mounts: distinctMounts([
          ...(Object.keys(own.files).length > 0 ? [config] : []),
          ...mounts,
          ...ownMounts,
        ]),
        // As PID 1, engines ignore a stop until they have loaded, and leave the processes of their workers behind.
        init: true,
        // A seat is there at once, whatever it loads later.
        health: seat
          ? health(...healthTest)
          : { ...health(...healthTest), startPeriodSeconds: startPeriodOf(backend.engine) },
        readySeconds: seat ? SEAT_SECONDS : deadlineSeconds,
        // The neighbours on its device are in the deadline, and are no reason to replace it.
        hashedReadySeconds: seat ? SEAT_SECONDS : backend.engine.readySeconds,
        started: backend.start !== "manual",
        pidsLimit: backend.pidsLimit,
      },
      own.hash,
    ),
  };
}
