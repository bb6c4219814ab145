import { chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { output } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { scratch } from "../support/allocate";
import { needs } from "../support/needs";

// speaches' own image cannot be built here. LiteLLM's holds the library by which speaches and faster-whisper find a model.
const image = recipeReference(packageDir, "gateway");

/** What faster-whisper (the first) and speaches' registry (the rest) do. */
const FIND = `
import json, os, pathlib, huggingface_hub as hub
folder = pathlib.Path(hub.snapshot_download("acme/whisper"))
cache = hub.scan_cache_dir()
[repo] = cache.repos
[revision] = repo.revisions
print(json.dumps({
  "model": (folder / "model.bin").read_text(),
  "files": sorted(file.file_name for file in revision.files),
  "repo": repo.repo_id, "refs": sorted(revision.refs), "commit": revision.commit_hash,
  "warnings": [str(one) for one in cache.warnings],
  "key": os.environ["API_KEY"],
}))`;

needs("the image gpubox/gateway")("a model of speaches", () => {
  test.each(["main", "0123456789abcdef0123456789abcdef01234567"])(
    "is found by the hub's library without a hub, from a shared directory that it may not write to: %s",
    async (revision) => {
      const folder = scratch("speaches");
      chmodSync(folder, 0o755);
      const weights = join(folder, revision);
      mkdirSync(join(weights, "voices"), { recursive: true });
      for (const [path, text] of Object.entries({
        ...{ "README.md": "---\nlibrary_name: ctranslate2\n---\n", "model.bin": "weights" },
        ...{ "voices/one.bin": "voice", ".lock": "" },
      }))
        writeFileSync(join(weights, path), text);
      const config = join(folder, "config");
      mkdirSync(config);
      for (const script of ["speaches/entrypoint.sh", "backend/with-env.sh"])
        cpSync(join(packageDir, "assets", script), join(config, script.replace(/.*\//, "")));
      writeFileSync(join(config, "backend.env"), "API_KEY='sk-test'\n");
      const said = await output("docker", [
        ...["run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", "--user", "1000:1000"],
        ...["--env", "HOME=/tmp", "--env", "HF_HUB_CACHE=/tmp/hub", "--env", "HF_HUB_OFFLINE=1"],
        ...["--volume", `${weights}:${weights}:ro`, "--volume", `${config}:/etc/gpubox:ro`],
        ...["--entrypoint", "sh", image, "/etc/gpubox/entrypoint.sh", "acme/whisper", revision, weights],
        ...["python3", "-c", FIND],
      ]);
      expect(JSON.parse(said)).toEqual({
        model: "weights",
        files: [".lock", "README.md", "model.bin", "one.bin"],
        repo: "acme/whisper",
        refs: ["main"],
        commit: revision,
        warnings: [],
        key: "sk-test",
      });
      rmSync(folder, { recursive: true });
    },
  );
});
