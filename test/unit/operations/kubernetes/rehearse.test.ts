import { refusalsIn } from "../../../../operations/kubernetes/rehearse";

test("what an API server refuses is read without its warnings and kubectl's preface", () => {
  const stderr = [
    'Warning: would violate PodSecurity "restricted:latest": runAsNonRoot != true',
    'Error from server (BadRequest): error when creating "STDIN": Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.x"',
    'Error from server (Invalid): Service "edge" is invalid: spec.ports: Required value',
    'Error from server (Forbidden): error when creating "STDIN": pods "a-" is forbidden: error looking up service account box/default: serviceaccount "default" not found',
    "",
  ].join("\n");
  expect(refusalsIn(stderr)).toEqual([
    'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.x"',
    'Service "edge" is invalid: spec.ports: Required value',
  ]);
});
