import fc from "fast-check";
import { chooseGpuAccess } from "../../../../operations/up/gpuAccess";
import { describedGpus } from "../../../../platform/docker/cdi";

const ids = fc.uniqueArray(fc.constantFrom<string[]>("0", "1", "GPU-1d2f", "MIG-77"), { minLength: 1 });

test("a host's first up takes CDI where the engine knows every declared GPU by it, and no GPU runs by the hook yet", () => {
  fc.assert(
    fc.property(ids, fc.oneof(ids, fc.constant<string[]>([])), fc.boolean(), (declared, cdi, hookRuns) => {
      const all = declared.every((id) => cdi.includes(id));
      expect(chooseGpuAccess({ declared, cdi, says: undefined, hookRuns })).toBe(
        all && !hookRuns ? "cdi" : "hook",
      );
      // What a config says is taken, and what cannot be is refused.
      expect(chooseGpuAccess({ declared, cdi, says: "hook", hookRuns })).toBe("hook");
      const wanted = () => chooseGpuAccess({ declared, cdi, says: "cdi", hookRuns });
      if (all) expect(wanted()).toBe("cdi");
      else expect(wanted).toThrow(/knows no CDI device .*gpubox host prepare/);
    }),
  );
});

test("descriptions of NVIDIA's devices are read in both forms; others and broken ones have none", () => {
  const devices = [{ name: "0", containerEdits: {} }, { name: "GPU-1d2f" }, { name: "all" }];
  const json = JSON.stringify({ cdiVersion: "0.6.0", kind: "nvidia.com/gpu", devices });
  const yaml = "---\ncdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: \"1\"\n- name: '0:0'\n";
  const other = JSON.stringify({ kind: "vendor.com/net", devices: [{ name: "9" }] });
  expect(describedGpus(["", json, other, yaml, "{ not yaml", "kind: nvidia.com/gpu"])).toEqual([
    ...["0", "GPU-1d2f", "all"],
    ...["1", "0:0"],
  ]);
});
