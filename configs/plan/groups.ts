import { groupBudget, groupsOf, memberAsleep, memberNeeds } from "../capacity/groups";
import { configFile, directory } from "../kit/text";
import type { GroupPlan } from "../kit/types";
import { IDLE_SECONDS } from "../schema/model";
import { backendName, modelPort, modelSlug } from "../stack/instances";
import { assetFiles, type BackendSpec, container, type PlanContext } from "./context";
import { HAPROXY } from "./edge";
import {
  GROUP_ASSETS,
  GROUP_HEALTH,
  type GroupMember,
  groupConfig,
  groupMembers,
  SEATS_DIR,
} from "./haproxy/group";
import { startCommand } from "./manual";
import { seatsDirectory } from "./seat";
import { valveSilence } from "./silence";
import { reloadedProxy, type ValveTarget } from "./valve";

/** Seconds below `timeoutSeconds`, so that clients get the scheduler's answer and not LiteLLM's. */
const WAIT_MARGIN_SECONDS = 15;

/** The longest wait where the entry says nothing. */
const MOST_WAIT_SECONDS = 600;

/** Seconds for what runs when the scheduler itself is replaced, which only another image does. */
const STOP_SECONDS = 60;

/** The schedulers of the stack's groups, in the order of the config. */
export function planGroups(context: PlanContext, backends: BackendSpec[]): GroupPlan[] {
  return Object.entries(groupsOf(context.config)).map(([name, models]) =>
    planGroup(
      context,
      name,
      backends.filter(({ model }) => models.includes(model)),
    ),
  );
}

/** Where the valve of a group's model leads: to the scheduler, at a port that is the model's own. */
export function schedulerTarget(group: string, instance: string): ValveTarget {
  return { name: schedulerName(group), port: modelPort(instance), healthPath: GROUP_HEALTH, group };
}

function schedulerName(group: string): string {
  return `group-${group}`;
}

function planGroup(context: PlanContext, group: string, backends: BackendSpec[]): GroupPlan {
  const { config, gpus } = context;
  const budget = groupBudget(config, gpus, group);
  const members = backends.map((backend) => memberOf(context, group, backend));
  const name = schedulerName(group);
  const files = directory(
    `${context.dataDir}/${name}`,
    HAPROXY,
    {
      "haproxy.cfg": configFile(groupConfig(members)),
      "members.lua": configFile(groupMembers(budget, members)),
      ...assetFiles(context, GROUP_ASSETS),
    },
    context.secrets,
  );
  const seats = seatsDirectory(context.dataDir, group);
  const proxy = reloadedProxy(files.path);
  return {
    name: group,
    budget,
    models: backends.map(({ model }) => model),
    service: {
      directory: files,
      writable: [seats],
      // No model of the group notices a change of another one.
      reloads: true,
      container: container(
        context,
        {
          name,
          role: "edge",
          ...proxy,
          mounts: [
            ...proxy.mounts,
            { kind: "directory", source: seats.path, target: SEATS_DIR, readOnly: false },
          ],
          memoryMiB: 256,
          networks: { backends: [name] },
          stopGraceSeconds: STOP_SECONDS,
        },
        "",
      ),
    },
  };
}

function memberOf(context: PlanContext, group: string, backend: BackendSpec): GroupMember {
  const { config, gpus } = context;
  const { model: name, instance, engine } = backend;
  const entry = config.models[name]!;
  const own = entry as { priority?: number; pinned?: boolean; idleSeconds?: number; waitSeconds?: number };
  const timeout = entry.timeoutSeconds ?? config.gateway.routing.timeoutSeconds;
  const slug = modelSlug(instance);
  return {
    ...{ name, slug, port: modelPort(instance) },
    server: { name: backendName(instance), port: engine.port },
    needs: memberNeeds(config, gpus, group, name),
    ...(engine.sleep && { asleep: memberAsleep(config, gpus, group, name) }),
    priority: own.priority ?? 0,
    pinned: own.pinned ?? false,
    idleSeconds: own.idleSeconds ?? IDLE_SECONDS,
    waitSeconds: own.waitSeconds ?? Math.max(1, Math.min(MOST_WAIT_SECONDS, timeout - WAIT_MARGIN_SECONDS)),
    readySeconds: engine.readySeconds,
    startHint: startCommand(config.stack, instance),
    silence: valveSilence(config, name),
  };
}
