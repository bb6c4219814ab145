import { gpuProcesses, parseGpuProcesses } from "../../../../operations/drift/collectGpus";
import { drift } from "../../../../operations/drift/drift";
import { driftText } from "../../../../operations/drift/text";
import { asPlanned, box, found } from "../../../support/drift";

describe("processes on the GPUs", () => {
  const [first, second] = [
    "GPU-8a9e11c0-1111-4222-8333-444455556666",
    "GPU-0b1c2d3e-aaaa-4bbb-8ccc-ddddeeeeffff",
  ];
  const id = "c".repeat(64);
  const recorded = `0, ${first}
1, ${second}
--
${first}, 4242, 81034, /usr/bin/python3
${first}, 4300, 1024, /opt/tool, of mine
${second}, 4400, [N/A], Xorg
--
=4242
0::/system.slice/docker-${id}.scope
=4300
12:devices:/user.slice
0::/user.slice/user-1000.slice
=4400
0::/
`;

  test("are read for the declared devices, with their containers", () => {
    expect(parseGpuProcesses(recorded, ["0"])).toEqual([
      { gpu: first, pid: 4242, name: "/usr/bin/python3", usedMiB: 81034, container: id },
      { gpu: first, pid: 4300, name: "/opt/tool, of mine", usedMiB: 1024 },
    ]);
    expect(parseGpuProcesses(recorded, [second]).map(({ pid, usedMiB }) => [pid, usedMiB])).toEqual([
      [4400, 0],
    ]);
  });

  test("outside the box's containers are reported", () => {
    const facts = { ...asPlanned(), gpus: parseGpuProcesses(recorded, ["0"]) };
    found(facts, "backend-tiny").id = id;
    const report = drift(box, facts);
    expect(report.differences).toMatchObject([
      {
        ...{ kind: "gpu", byUp: false },
        what: `The process /opt/tool, of mine (pid 4300) has 1024 MiB of ${first}, and does not belong to the box.`,
      },
    ]);
  });

  test("are reported as unchecked when the driver does not answer", async () => {
    const gpus = await gpuProcesses(() => Promise.reject(new Error("nvidia-smi: not found")), ["0"]);
    const report = drift(box, { ...asPlanned(), gpus });
    expect(report).toMatchObject({
      differences: [],
      notChecked: ["processes on the GPUs: nvidia-smi: not found"],
    });
    expect(driftText(report)).toContain("not checked: processes on the GPUs: nvidia-smi: not found");
  });
});
