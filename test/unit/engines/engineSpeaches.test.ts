import { renderText } from "../../../configs/kit/text";
import { SPEECH } from "../../../configs/models/repository";
import { modelPort } from "../../../configs/stack/instances";
import { boxOf, refusals, served } from "../../support/engines";
import { testPlan } from "../../support/stacks";

const entry = { engine: "speaches", model: "hf://Systran/faster-whisper-small" };

test("it listens on the model's port and reads its model offline from the hub's cache layout", () => {
  const { container, weights, service } = served(entry);
  expect(container.command).toEqual([
    ...["uvicorn", "--factory", "speaches.main:create_app", "--host", "0.0.0.0"],
    ...["--port", String(modelPort("m"))],
  ]);
  expect(container).toMatchObject({
    role: "speaches-cpu",
    user: "1000:1000",
    env: {
      HF_HUB_CACHE: "/tmp/hub",
      HF_HUB_OFFLINE: "1",
      STT_MODEL_TTL: "-1",
      WHISPER__INFERENCE_DEVICE: "cpu",
    },
  });
  const folder = "/srv/gpubox/models/hf/Systran/faster-whisper-small/main";
  expect(container.entrypoint).toEqual([
    ...["sh", "/etc/gpubox/entrypoint.sh", "Systran/faster-whisper-small", "main", folder],
  ]);
  expect(container.mounts).toContainEqual({
    ...{ kind: "directory", source: folder, target: folder, readOnly: true },
  });
  expect(JSON.parse(weights[0]?.stdin?.[1] as string)).toMatchObject({ directory: folder, ...SPEECH });
  expect(service.directory.gid).toBe(1000);
});

test("it is called by the repository's name, according to its task", () => {
  expect(served({ ...entry, mode: "audio_speech" }).deployment).toMatchObject({
    litellm_params: {
      model: "openai/Systran/faster-whisper-small",
      api_key: "os.environ/GPUBOX_BACKEND_KEY",
    },
    model_info: { mode: "audio_speech" },
  });
});

test("the edge opens a route for audio only where a model is declared for it", () => {
  const opens = (plan: ReturnType<typeof testPlan>) => {
    const text = renderText(plan.edge.directory.files["haproxy.cfg"]!.text, {});
    return [...text.matchAll(/acl client_route .* (\/v1\/audio\S*)$/gm)].map(([, route]) => route);
  };
  expect(opens(boxOf(entry).plan)).toEqual(["/v1/audio/transcriptions"]);
  expect(opens(boxOf({ ...entry, mode: "audio_speech" }).plan)).toEqual(["/v1/audio/speech"]);
  expect(opens(testPlan())).toEqual([]);
});

test.each([
  [
    { model: "file:///srv/models/whisper" },
    "model: speaches reads models only from the hub's own cache. Write hf://owner/repo, for example hf://Systran/faster-whisper-small.",
  ],
  [
    { env: { API_KEY: "x" } },
    "env.API_KEY: API_KEY is set by gpubox. Use the entry's own key for it, or leave it out.",
  ],
])("%j is refused", (change, problem) => {
  expect(refusals({ ...entry, ...change })).toEqual([problem]);
});
