import { diskLine, memoryLine, portsClash, portVerdict } from "../../../platform/machine";
import { UserError } from "../../../platform/process";
import { machineLine } from "../../../platform/project";

const port = { bind: "127.0.0.1", port: 4000, key: "gpubox:gateway.port" };
const GiB = 1024 ** 3;

describe("the lines about the machine", () => {
  test("names are padded to one column", () => {
    expect(machineLine("docker", "20.10.24, overlay2 — found")).toBe(
      "  docker     20.10.24, overlay2 — found",
    );
    expect(machineLine("port 4000", "on 127.0.0.1 — free")).toBe("  port 4000  on 127.0.0.1 — free");
  });

  test("a disk warns under 15 GiB and refuses under 3", () => {
    const folders = ["/var/lib/docker", "/srv/gpubox"];
    expect(diskLine({ folders, freeBytes: 20 * GiB })).toBe(
      "20.0 GiB free for /var/lib/docker and /srv/gpubox — enough",
    );
    expect(diskLine({ folders, freeBytes: 14.9 * GiB })).toBe(
      "14.9 GiB free for /var/lib/docker and /srv/gpubox — WARNING: less than 15 GiB, large images or models will not fit",
    );
    expect(() => diskLine({ folders: ["/srv"], freeBytes: 2.9 * GiB })).toThrow(
      new UserError(
        "The disk has only 2.9 GiB free for /srv.",
        "Free at least 3 GiB, better 15; `docker system df` shows what Docker holds.",
      ),
    );
  });

  test("memory warns when the containers' limits add up to more than there is", () => {
    expect(memoryLine(16 * GiB, 12 * GiB, 16 * 1024)).toBe("16.0 GiB, 12.0 GiB available — enough");
    expect(memoryLine(16 * GiB, undefined, undefined)).toBe("16.0 GiB — enough");
    expect(memoryLine(16 * GiB, undefined, 20 * 1024)).toBe(
      "16.0 GiB — WARNING: the containers' limits add up to 20.0 GiB",
    );
  });

  test("a port that this box holds is fine", () => {
    expect(portVerdict(port, { container: "gpubox-dev-edge", stack: "dev" }, "dev")).toBe(
      "on 127.0.0.1 — held by this box",
    );
    expect(portVerdict(port, "free", "dev")).toBe("on 127.0.0.1 — free");
    expect(portVerdict(port, "unknown", "dev")).toBe(
      "on 127.0.0.1 — not checked: the host is another machine",
    );
  });

  test("a port that somebody else holds is refused with the holder and the key to change", () => {
    expect(() => portVerdict(port, { container: "gpubox-box-edge", stack: "box" }, "dev")).toThrow(
      new UserError(
        "Port 4000 on 127.0.0.1 is held by the container gpubox-box-edge.",
        "Stop that, or set another gpubox:gateway.port in Pulumi.dev.yaml.",
      ),
    );
    expect(() => portVerdict(port, { process: "the process nginx (pid 12)" }, "dev")).toThrow(
      /^Port 4000 on 127\.0\.0\.1 is held by the process nginx \(pid 12\)\./,
    );
  });

  test("two listeners clash on one port unless they have different addresses", () => {
    expect(portsClash(port, { bind: "127.0.0.1", port: 4000 })).toBe(true);
    expect(portsClash(port, { bind: "0.0.0.0", port: 4000 })).toBe(true);
    expect(portsClash({ bind: "::", port: 4000 }, port)).toBe(true);
    expect(portsClash(port, { bind: "10.0.0.1", port: 4000 })).toBe(false);
    expect(portsClash(port, { bind: "0.0.0.0", port: 4001 })).toBe(false);
  });
});
