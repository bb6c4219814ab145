import { environment } from "../../../configs/plan/gatewayVariables";
import { errorBody, quoted } from "../../../configs/plan/haproxy/answers";
import { type ValveOptions, valveConfig } from "../../../configs/plan/haproxy/valve";
import { gatewaySchema } from "../../../configs/schema/gateway";

const OPTIONS: ValveOptions = {
  model: "tiny",
  backend: { name: "backend-tiny", port: 8000, healthPath: "/health" },
  holdSeconds: 30,
  routes: ["/v1/models", "/v1/chat/completions"],
};
const config = (options: Partial<ValveOptions> = {}) => valveConfig({ ...OPTIONS, ...options }).join("");
const body = (reason: string, model = "tiny") =>
  errorBody(503, "service_unavailable", `Model ${model} is not available: ${reason}`);

describe("a valve's haproxy.cfg", () => {
  test("names model and reason in each answer that it makes itself", () => {
    const answers = config();
    for (const reason of [
      "its backend is not answering",
      "its backend stopped before it answered",
      "its backend is starting or overloaded",
    ]) {
      expect(answers).toContain(quoted(body(reason)));
    }
    expect(answers).not.toContain("by hand");
  });

  test("says so when a model is started by hand", () => {
    const answers = config({ startHint: "gpubox model start tiny" });
    expect(answers).toContain(quoted(body("it is started by hand, with `gpubox model start tiny`")));
    expect(answers).not.toContain("is not answering");
  });

  test("never sends a request twice once it reached the backend", () => {
    expect(config()).toContain("\n  retry-on conn-failure\n");
  });

  test("closes no connection that LiteLLM may still use: it lets go of one that was idle for less", () => {
    const [, minutes] = /^frontend valve .*\n(?: {2}.*\n)*? {2}timeout http-keep-alive (\d+)m\n/m.exec(
      config(),
    )!;
    const { AIOHTTP_KEEPALIVE_TIMEOUT: seconds } = environment(gatewaySchema.parse({}));
    expect(Number(minutes) * 60).toBeGreaterThan(Number(seconds));
  });

  test("keeps no connection of clients that come past the gateway, and none to its backend", () => {
    const direct = config({ direct: { keyed: true } });
    expect(direct).toMatch(/^frontend direct from front\n(?: {2}.*\n)*? {2}option httpclose\n/m);
    expect(direct).toMatch(/^defaults base\n(?: {2}.*\n)*? {2}option http-server-close\n/m);
  });

  test("checks the backend's health on the backend's own route", () => {
    expect(config()).toContain("http-check send meth GET uri /health hdr Host backend-tiny");
    expect(config()).toContain("\n  server backend backend-tiny:8000\n");
  });

  test("escapes any model name", () => {
    const model = `it's "a" \\ model`;
    expect(config({ model })).toContain(quoted(body("its backend is not answering", model)));
    expect(quoted("it's")).toBe(`'it'\\''s'`);
  });

  test.each([
    { backend: { ...OPTIONS.backend, name: "a b" } },
    { backend: { ...OPTIONS.backend, name: "" } },
    { backend: { ...OPTIONS.backend, healthPath: "health" } },
    { backend: { ...OPTIONS.backend, healthPath: "/health check" } },
  ])("refuses %j", (options) => {
    expect(() => config(options)).toThrow(/^not a /);
  });

  test("writes a control character as JSON does, and refuses one that would end a line", () => {
    expect(config({ model: "a\nb" })).toContain("Model a\\nb is not available");
    expect(() => quoted("a\nb")).toThrow("cannot hold a control character");
  });
});
