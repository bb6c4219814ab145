import { rootScript } from "../../kit/hostFiles";

/** Directory on the host whose `*.prom` files the exporter of the host reads out: metrics that a step or a verb writes. */
export function metricsDirectory(dataDir: string): string {
  return `${dataDir}/metrics`;
}

/** Whole or not at all, because the exporter may read at any moment. `@NOW@` in the text becomes the time in seconds. */
const WRITE = `set -eu
dir=$1 file=$1/$2.prom
[ -z "$4" ] || ! grep -qsF -- "$4" "$file" || exit 0
[ -d "$dir" ] || install -d -m 0755 "$dir"
printf '%s\\n' "$3" | sed "s/@NOW@/$(date +%s)/" > "$file.new"
chmod 0644 "$file.new"
mv -f "$file.new" "$file"`;

export interface HostMetric {
  /** Name of the file, without suffix. */
  file: string;
  /** Lines in Prometheus' text format. `@NOW@` stands for the time in seconds since 1970. */
  text: string;
  /** Leaves the file as it is where this text is already in it. */
  unless?: string;
}

/** Shell command that writes a metric which survives everything but the loss of the host's data directory. */
export function writeMetric(image: string, dataDir: string, { file, text, unless = "" }: HostMetric): string {
  return rootScript(image, dataDir, WRITE, [metricsDirectory(dataDir), file, text, unless]);
}
