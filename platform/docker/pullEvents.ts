import { z } from "zod";

/** A line of what the engine answers to a pull. */
const pullEvent = z.object({
  id: z.string().optional(),
  status: z.string().optional(),
  progressDetail: z
    .object({ current: z.number().nonnegative().optional(), total: z.number().nonnegative().optional() })
    .optional(),
  error: z.string().optional(),
});

export type PullEvent = z.infer<typeof pullEvent>;

/** An event of the engine's; undefined for a line that is none. */
export function parsePullEvent(line: string): PullEvent | undefined {
  try {
    return pullEvent.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

interface Layer {
  /** Bytes that have come. */
  done: number;
  /** Bytes of the layer; undefined until its download begins. */
  total?: number;
  /** Whether it is unpacked. */
  ready: boolean;
}

/** How far a pull is. */
export interface PullState {
  /** Bytes that have come. */
  done: number;
  /** Bytes of all layers that are not there yet; undefined until each one's size is known. */
  total?: number;
  layers: number;
  /** Layers that are unpacked. */
  ready: number;
}

/** Adds up what the engine says of each layer. */
export class PullMeter {
  private readonly layers = new Map<string, Layer>();

  /** Takes an event. Returns how far the pull is after it. */
  take({ id, status, progressDetail }: PullEvent): PullState {
    // The first event has the tag or the digest for an id.
    if (id && status && !status.startsWith("Pulling from")) this.layer(id, status, progressDetail);
    const all = [...this.layers.values()];
    const sum = (of: (layer: Layer) => number) => all.reduce((total, layer) => total + of(layer), 0);
    const sized = all.length > 0 && all.every(({ total }) => total !== undefined);
    return {
      done: sum(({ done }) => done),
      ...(sized ? { total: sum(({ total }) => total ?? 0) } : {}),
      layers: all.length,
      ready: all.filter(({ ready }) => ready).length,
    };
  }

  private layer(id: string, status: string, detail: PullEvent["progressDetail"]): void {
    const layer: Layer = this.layers.get(id) ?? { done: 0, ready: false };
    this.layers.set(id, layer);
    if (status === "Downloading") {
      layer.total = detail?.total ?? layer.total;
      layer.done = detail?.current ?? layer.done;
    } else if (/^(Verifying Checksum|Download complete|Extracting|Pull complete)$/.test(status)) {
      // A layer that is small enough is never seen downloading.
      layer.total ??= layer.done;
      layer.done = layer.total;
      layer.ready ||= status === "Pull complete";
    } else if (status === "Already exists") Object.assign(layer, { done: 0, total: 0, ready: true });
  }
}
