/** A small language for dashboards, and what Grafana makes of it. */

export type Unit =
  | "short"
  | "reqpm"
  | "s"
  | "percentunit"
  | "bytes"
  | "decmbytes"
  | "celsius"
  | "watt"
  | "currencyUSD"
  | "dateTimeAsIso";

export interface PanelQuery {
  /** PromQL. `$__rate_interval` and `$__range` are Grafana's. */
  expr: string;
  /** Legend with labels in double braces, `{{model}}`. */
  legend: string;
}

export interface Panel {
  title: string;
  /** What a person learns from it. */
  help: string;
  /** `graph`: over time. `now`: one value a series. `table`: the last values by label. */
  kind: "graph" | "now" | "table";
  unit: Unit;
  queries: PanelQuery[];
  /** Whose exporter answers it, where that is not part of every box. */
  needs?: "gpu" | "postgres" | "redis";
}

export interface Dashboard {
  /** Name of the file and start of the address. */
  name: string;
  title: string;
  panels: Panel[];
}

const SOURCE = { type: "prometheus", uid: "gpubox" };

/** Grafana's grid is 24 wide: two panels a row. */
const WIDTH = 12;
const HEIGHT = 8;

const KINDS = { graph: "timeseries", now: "stat", table: "table" };

/** A dashboard as Grafana provisions it, with a line at each change of the box. */
export function grafanaDashboard({ name, title, panels }: Dashboard): object {
  return {
    uid: `gpubox-${name}`,
    title,
    tags: ["gpubox"],
    schemaVersion: 39,
    editable: false,
    refresh: "30s",
    time: { from: "now-3h", to: "now" },
    annotations: {
      list: [
        {
          name: "Changes",
          datasource: SOURCE,
          enable: true,
          iconColor: "blue",
          expr: "max by (generation, change) (gpubox_change_timestamp_seconds) * 1000",
          step: "60s",
          useValueForTime: true,
          titleFormat: "The box was changed",
          textFormat: "gateway generation {{generation}}",
        },
      ],
    },
    panels: panels.map((panel, index) => grafanaPanel(panel, index)),
  };
}

function grafanaPanel({ title, help, kind, unit, queries }: Panel, index: number): object {
  return {
    id: index + 1,
    title,
    description: help,
    type: KINDS[kind],
    datasource: SOURCE,
    gridPos: { x: (index % 2) * WIDTH, y: Math.floor(index / 2) * HEIGHT, w: WIDTH, h: HEIGHT },
    fieldConfig: { defaults: { unit, min: unit === "dateTimeAsIso" ? undefined : 0 }, overrides: [] },
    options: kind === "graph" ? { legend: { displayMode: "list" }, tooltip: { mode: "multi" } } : {},
    targets: queries.map(({ expr, legend }, at) => ({
      refId: String.fromCharCode(65 + at),
      datasource: SOURCE,
      expr,
      legendFormat: legend,
      ...(kind === "table" ? { format: "table", instant: true } : {}),
      ...(kind === "now" ? { instant: true } : {}),
    })),
  };
}
