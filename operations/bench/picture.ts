import type { CaseFigures } from "./figures";
import { milliseconds } from "./text";

/** What a picture shows. */
export interface BenchPicture {
  /** The model's name, and what else belongs into the title. */
  title: string;
  now: CaseFigures[];
  /** The generation before, drawn dashed; only cases that `now` has as well. */
  before?: CaseFigures[];
}

const WIDTH = 340;
const HEIGHT = 240;
const MARGIN = { left: 56, right: 16, top: 34, bottom: 42 };
const HEAD = 40;
const FOOT = 26;

/** Colours that people with any sight tell apart (Okabe and Ito, 2008), one for each length of prompts. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

interface Panel {
  name: string;
  /** The line, and where a mark above it ends. */
  value: (one: CaseFigures) => number | undefined;
  most?: (one: CaseFigures) => number | undefined;
}

const PANELS: Panel[] = [
  { name: "tokens a second, all together", value: ({ tokensPerSecond }) => tokensPerSecond },
  {
    name: "time to first token, ms",
    value: ({ firstTokenMs }) => firstTokenMs.p50,
    most: ({ firstTokenMs }) => firstTokenMs.p99,
  },
  {
    name: "inter-token latency, ms",
    value: ({ interTokenMs }) => interTokenMs?.p50,
    most: ({ interTokenMs }) => interTokenMs?.p99,
  },
];

interface Series {
  name: string;
  colour: string;
  now: CaseFigures[];
  before: CaseFigures[];
}

/**
 * An SVG of a model's speed: three panels over the requests at a time, a line for each length of prompts. A thin mark leads from the
 * median to the 99th percentile, a dashed line is the generation before. It needs no script, no font and no network.
 */
export function benchPicture({ title, now, before = [] }: BenchPicture): string {
  const all = seriesOf(now, before);
  const levels = [...new Set(now.map(({ concurrency }) => concurrency))].sort((a, b) => a - b);
  const width = WIDTH * PANELS.length;
  const height = HEAD + HEIGHT + FOOT;
  const legend = all.map(
    ({ name, colour }, index) =>
      `<rect x="${MARGIN.left + index * 170}" y="${HEAD + HEIGHT + 4}" width="12" height="12" fill="${colour}"/>` +
      text(MARGIN.left + index * 170 + 18, HEAD + HEIGHT + 14, name),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(MARGIN.left, 24, title, 'font-size="15" font-weight="bold"'),
    ...PANELS.map((panel, index) => panelOf(panel, index * WIDTH, levels, all)),
    ...legend,
    ...(before.length > 0
      ? [text(width - MARGIN.right, 24, "dashed: the generation before", 'text-anchor="end"')]
      : []),
    "</svg>",
    "",
  ].join("\n");
}

function seriesOf(now: CaseFigures[], before: CaseFigures[]): Series[] {
  const key = ({ promptTokens, shared }: CaseFigures) =>
    `prompts of ${promptTokens}${shared ? ", shared" : ""}`;
  const keys = [...new Set(now.map(key))];
  const levels = new Set(now.map(({ concurrency }) => concurrency));
  const of = (cases: CaseFigures[], name: string) =>
    cases
      .filter((one) => key(one) === name && levels.has(one.concurrency))
      .sort((a, b) => a.concurrency - b.concurrency);
  return keys.map((name, index) => ({
    name,
    colour: COLOURS[index % COLOURS.length]!,
    now: of(now, name),
    before: of(before, name),
  }));
}

function panelOf({ name, value, most }: Panel, left: number, levels: number[], all: Series[]): string {
  const values = all
    .flatMap(({ now, before }) => [...now, ...before])
    .flatMap((one) => [value(one), most?.(one)])
    .filter((one) => one !== undefined);
  const top = scaleTop(Math.max(...values, 0));
  const inner = { width: WIDTH - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  // Levels are mostly powers of two, so each has the same room.
  const x = (level: number) =>
    left + MARGIN.left + (inner.width * (levels.indexOf(level) + 0.5)) / Math.max(levels.length, 1);
  const y = (one: number) => HEAD + MARGIN.top + inner.height * (1 - one / top);
  const ground = HEAD + MARGIN.top + inner.height;
  const end = left + MARGIN.left + inner.width;
  const grid = [0, 0.25, 0.5, 0.75, 1].map(
    (part) =>
      `<line x1="${left + MARGIN.left}" x2="${end}" y1="${at(y(top * part))}" y2="${at(y(top * part))}" stroke="${part === 0 ? "#333" : "#ddd"}"/>` +
      text(left + MARGIN.left - 6, y(top * part) + 4, tick(top * part), 'text-anchor="end"'),
  );
  const ticks = levels.map((level) => text(x(level), ground + 16, String(level), 'text-anchor="middle"'));
  const lines = all.flatMap(({ colour, now, before }) => [
    line(before, { x, y, value, colour, dashed: true }),
    line(now, { x, y, value, colour, dashed: false }),
    ...now.flatMap((one) => marks(one, { x, y, value, most, colour })),
  ]);
  return [
    "<g>",
    text(left + MARGIN.left, HEAD + MARGIN.top - 12, name, 'font-weight="bold"'),
    ...grid,
    ...ticks,
    text(left + MARGIN.left + inner.width / 2, ground + 32, "requests at a time", 'text-anchor="middle"'),
    ...lines,
    "</g>",
  ]
    .filter(Boolean)
    .join("\n");
}

interface Drawn {
  x: (level: number) => number;
  y: (value: number) => number;
  value: Panel["value"];
  colour: string;
}

function line(cases: CaseFigures[], { x, y, value, colour, dashed }: Drawn & { dashed: boolean }): string {
  const points = cases.flatMap((one) => {
    const found = value(one);
    return found === undefined ? [] : [`${at(x(one.concurrency))},${at(y(found))}`];
  });
  if (points.length < 2) return "";
  const dash = dashed ? ' stroke-dasharray="5 4" opacity="0.6"' : "";
  return `<polyline fill="none" stroke="${colour}" stroke-width="2"${dash} points="${points.join(" ")}"/>`;
}

function marks(one: CaseFigures, { x, y, value, most, colour }: Drawn & Pick<Panel, "most">): string[] {
  const found = value(one);
  if (found === undefined) return [];
  const [cx, cy] = [at(x(one.concurrency)), at(y(found))];
  const above = most?.(one);
  const shown =
    above === undefined ? milliseconds(found) : `${milliseconds(found)}, p99 ${milliseconds(above)}`;
  return [
    ...(above === undefined
      ? []
      : [`<line x1="${cx}" x2="${cx}" y1="${cy}" y2="${at(y(above))}" stroke="${colour}"/>`]),
    `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${colour}"><title>${one.concurrency} at a time: ${shown}</title></circle>`,
  ];
}

/** The end of an axis: the next of 1, 2, 2.5, 5 and their tens. */
export function scaleTop(most: number): number {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  // A product of powers of ten has a last digit that is not exact.
  const step = [1, 2, 2.5, 5, 10].find((one) => one * power >= most * (1 - 1e-9))!;
  return step * power;
}

function tick(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function text(x: number, y: number, words: string, more = ""): string {
  return `<text x="${at(x)}" y="${at(y)}" fill="#222"${more ? ` ${more}` : ""}>${escaped(words)}</text>`;
}

function at(value: number): string {
  return String(Number(value.toFixed(1)));
}

/** As the text of an XML element: what XML does not know at all is left out. */
function escaped(words: string): string {
  return (
    words
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML 1.0 forbids.
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udfff]/gu, "")
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll('"', "&quot;")
  );
}
