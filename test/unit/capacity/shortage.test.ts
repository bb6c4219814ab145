import fc from "fast-check";
import { deviceShortage } from "../../../configs/capacity/shortage";

const devices = [
  { device: "0", mib: 100 },
  { device: "1", mib: 50 },
];
const runs = (model: string, mib: number, device = "0") => ({ model, needs: [{ device, mib }] });

describe("room for a model that a person starts", () => {
  test("is there when it fits beside what runs on its own devices", () => {
    const running = [runs("a", 40), runs("elsewhere", 50, "1")];
    expect(deviceShortage([{ device: "0", mib: 60 }], running, devices)).toBeUndefined();
  });

  test("names the device, what is missing, and the smallest single model that would make room", () => {
    const running = [runs("large", 50), runs("middle", 20), runs("small", 10)];
    expect(deviceShortage([{ device: "0", mib: 35 }], running, devices)).toEqual({
      device: "0",
      missingMib: 15,
      stop: ["middle"],
    });
  });

  test("names several where one is not enough", () => {
    const running = [runs("large", 50), runs("middle", 20), runs("small", 10)];
    expect(deviceShortage([{ device: "0", mib: 85 }], running, devices)?.stop).toEqual(["large", "middle"]);
  });

  test("names nothing to stop when even an empty device is too small", () => {
    expect(deviceShortage([{ device: "1", mib: 51 }], [], devices)).toEqual({
      device: "1",
      missingMib: 1,
      stop: [],
    });
  });

  test("is there after the named models stop, whatever is loaded", () => {
    const mib = fc.integer({ min: 1, max: 100 });
    fc.assert(
      fc.property(mib, fc.array(mib, { maxLength: 6 }), (wanted, loads) => {
        const running = loads.map((load, index) => runs(`m${index}`, load));
        const need = [{ device: "0", mib: wanted }];
        const refused = deviceShortage(need, running, devices);
        const left = running.filter(({ model }) => !refused?.stop.includes(model));
        if (refused?.stop.length !== 0) expect(deviceShortage(need, left, devices)).toBeUndefined();
      }),
    );
  });
});
