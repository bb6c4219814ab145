import fc from "fast-check";
import { amountOf, amountWords } from "../../../platform/kubernetes/quantity";

describe("a quantity of Kubernetes", () => {
  test.each([
    ["500m", 0.5],
    ["2", 2],
    [3, 3],
    ["1.5Gi", 1.5 * 2 ** 30],
    ["10G", 1e10],
    ["1e3", 1000],
    ["2E", 2e18],
    [".5", 0.5],
    ["-1", -1],
  ])("%s is %d", (text, number) => {
    expect(amountOf(text)).toBe(number);
  });

  test("that is none is refused", () => {
    for (const text of ["", "Gi", "1 Gi", "1gi", "0x10", "NaN"])
      expect(() => amountOf(text)).toThrow("no quantity");
  });

  test("of whole MiB is that many bytes", () => {
    fc.assert(fc.property(fc.nat(2 ** 20), (mib) => expect(amountOf(`${mib}Mi`)).toBe(mib * 2 ** 20)));
  });

  test("is written in GiB where it is memory or storage", () => {
    expect(amountWords("requests.memory", 1.5 * 2 ** 30)).toBe("1.5 GiB");
    expect(amountWords("fast.storageclass.storage.k8s.io/requests.storage", 2 ** 30)).toBe("1 GiB");
    expect(amountWords("limits.cpu", 0.25)).toBe("0.25");
    expect(amountWords("requests.nvidia.com/gpu", 8)).toBe("8");
  });
});
