import * as fc from "fast-check";
import { parseStack } from "../../../configs/parse";
import { MOST_REPLICAS } from "../../../configs/schema/gateway";
import { gatewayReplicas } from "../../../configs/stack/replicas";
import { rawStack, testSecrets, tinyModel } from "../../support/stacks";

const stack = (more: Record<string, unknown> = {}) =>
  parseStack(rawStack({ models: tinyModel, ...more }, testSecrets));
const auto = (more: Record<string, unknown> = {}, gateway: Record<string, unknown> = {}) =>
  stack({ ...more, gateway: { replicas: "auto", ...gateway } });
/** A host whose memory is no limit. */
const cores = (count: number) => ({ cores: count, memoryMiB: 1024 ** 2 });

describe("gateways of a generation by `replicas: auto`", () => {
  test.each([
    [1, 1],
    [2, 1],
    [3, 1],
    [4, 2],
    [8, 4],
    [16, 8],
    [96, 8],
  ])("on %i cores are %i", (count, expected) => {
    expect(gatewayReplicas(auto(), cores(count))).toBe(expected);
  });

  test("are one until a host was seen", () => {
    expect(gatewayReplicas(auto(), undefined)).toBe(1);
  });

  test("are fewer where two generations would take more than a quarter of the memory", () => {
    expect(gatewayReplicas(auto(), { cores: 32, memoryMiB: 16_384 })).toBe(4);
    expect(gatewayReplicas(auto(), { cores: 32, memoryMiB: 16_383 })).toBe(3);
    expect(gatewayReplicas(auto(), { cores: 32, memoryMiB: 1024 })).toBe(1);
  });

  test("are one without Redis, which counts for all of them", () => {
    expect(gatewayReplicas(auto({ cache: { mode: "none" } }), cores(32))).toBe(1);
  });

  test("are no more than the requests at a time of a server outside, of which each needs one", () => {
    const far = { engine: "openai", baseUrl: "http://gpu2:8000/v1", apiKey: "none", maxParallel: 3 };
    expect(gatewayReplicas(auto({ models: { far } }), cores(32))).toBe(3);
    // The valve of a server of the box counts for all gateways.
    const { tiny } = tinyModel;
    expect(gatewayReplicas(auto({ models: { tiny: { ...tiny, maxParallel: 1 } } }), cores(32))).toBe(8);
  });

  test("are no more than have their own pool of connections, while two generations share Postgres", () => {
    const settings = { general: { database_connection_pool_limit: 20 } };
    expect(gatewayReplicas(auto({ database: { mode: "bundled" } }, { settings }), cores(32))).toBe(2);
  });

  test("are between one and eight on any host", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1024 }),
        fc.integer({ min: 1, max: 4 * 1024 ** 2 }),
        (count, mib) => {
          const replicas = gatewayReplicas(auto(), { cores: count, memoryMiB: mib });
          expect(Number.isInteger(replicas) && replicas >= 1 && replicas <= MOST_REPLICAS).toBe(true);
        },
      ),
    );
  });
});

test("a number of gateways that a person writes is taken as it is", () => {
  expect(gatewayReplicas(stack({ gateway: { replicas: 3 } }), cores(2))).toBe(3);
});
