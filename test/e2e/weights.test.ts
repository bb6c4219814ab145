import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { renderText } from "../../configs/kit/text";
import { TRANSFORMERS } from "../../configs/models/repository";
import { type Wanted, weightsFolder, weightsStep } from "../../configs/models/weights";
import { output, run } from "../../platform/process";
import { packageDir } from "../../platform/project";
import { recipeReference } from "../../platform/stack/recipes";
import { scratch } from "../support/allocate";
import { type HubContainer, startHubContainer } from "../support/hubContainer";
import { commandLines } from "../support/leaks";
import { needs } from "../support/needs";

const MINUTE = 60_000;
const REVISION = "0123456789abcdef0123456789abcdef01234567";
const TOKEN = "hf_PLANTED-token";
const image = recipeReference(packageDir, "gateway");
const fetchScript = readFileSync(join(packageDir, "assets/weights/fetch.py"), "utf8");
const content = Buffer.alloc(3_000_000, Buffer.from(Array.from({ length: 250 }, (_, index) => index)));
const sha256 = createHash("sha256").update(content).digest("hex");

needs("the image gpubox/gateway")("the download of a model's weights", () => {
  let modelsDir: string;
  let hub: HubContainer;

  interface Asked {
    repo: string;
    file?: string;
    bytes?: number;
    sha256?: string;
    token?: string;
    /** In place of one locked file. */
    wanted?: Wanted;
    /** In place of the models' directory. */
    volume?: string;
  }

  const plan = ({ repo, file = "m.gguf", bytes = content.length, token, ...asked }: Asked) =>
    weightsStep({
      ...{ modelsDir, repo, image, fetchScript, endpoint: hub.endpoint, progressSeconds: 0.5 },
      wanted: asked.wanted ?? {
        revision: REVISION,
        files: [{ path: file, bytes, sha256: asked.sha256 ?? sha256 }],
      },
      hasToken: token !== undefined,
    });
  const download = (asked: Asked) => {
    const step = plan(asked);
    const script = asked.volume
      ? step.script.replace(`${modelsDir}:${modelsDir}`, `${asked.volume}:${modelsDir}`)
      : step.script;
    return run("sh", ["-c", script], {
      stdin: renderText(step.stdin ?? [], { hfToken: asked.token ?? "" }),
    });
  };
  const folder = (repo: string, revision = REVISION) => weightsFolder(modelsDir, repo, revision);
  const path = (repo: string, file = "m.gguf") => join(folder(repo), file);
  const requests = (repo: string) => hub.requests(repo);

  beforeAll(async () => {
    modelsDir = scratch("weights");
    hub = await startHubContainer(image);
  }, MINUTE);
  afterAll(async () => {
    await hub.remove();
    await run("sh", [
      "-c",
      `docker run --rm --user 0 --entrypoint sh -v ${modelsDir}:/m ${image} -c 'rm -rf /m/*'`,
    ]);
    rmSync(modelsDir, { recursive: true });
  }, MINUTE);

  test(
    "a download that breaks again and again continues where it was, and is complete at the end",
    async () => {
      const { code, stdout } = await download({ repo: "cut/model" });
      expect([code, readFileSync(path("cut/model")).equals(content)]).toEqual([0, true]);
      expect(stdout).toContain("m.gguf: cut at 1.0 MB");
      const ranges = (await requests("cut/model")).map((line) => line.split(" ")[1]);
      expect(ranges).toEqual(["None", "bytes=1000000-", "bytes=2000000-"]);
      expect(statSync(path("cut/model")).mode & 0o777).toBe(0o644);
    },
    MINUTE,
  );

  test(
    "what an earlier run left is continued, and a second run asks the hub for nothing",
    async () => {
      const target = path("good/model");
      await output("sh", [
        "-c",
        `docker run --rm -i --user 0 --entrypoint sh -v ${modelsDir}:${modelsDir} ${image} -c 'mkdir -p ${join(target, "..")} && chmod 0777 ${join(target, "..")}' `,
      ]);
      writeFileSync(`${target}.part`, content.subarray(0, 1_234_567), { mode: 0o666 });
      expect((await download({ repo: "good/model" })).code).toBe(0);
      expect(readFileSync(target).equals(content)).toBe(true);
      const again = await download({ repo: "good/model" });
      expect([again.code, again.stdout]).toEqual([0, "good/model: all 1 files are here\n"]);
      expect((await requests("good/model")).map((line) => line.split(" ")[1])).toEqual(["bytes=1234567-"]);
    },
    MINUTE,
  );

  test(
    "a hub that knows no ranges is asked for the whole file again",
    async () => {
      expect((await download({ repo: "unranged/model" })).code).toBe(0);
      expect(readFileSync(path("unranged/model")).equals(content)).toBe(true);
    },
    MINUTE,
  );

  test(
    "content that differs from the lock file is refused and removed",
    async () => {
      const { code, stderr } = await download({ repo: "good/other", sha256: "0".repeat(64) });
      expect([code, existsSync(path("good/other")), existsSync(`${path("good/other")}.part`)]).toEqual([
        4,
        false,
        false,
      ]);
      expect(stderr).toContain(`error: m.gguf has the sha256 ${sha256} and the lock file ${"0".repeat(64)}`);
    },
    MINUTE,
  );

  test(
    "a disk that is too small is refused before the first byte",
    async () => {
      const volume = `gpubox-weights-small-${process.pid}`;
      await output("docker", [
        ...["volume", "create", "--driver", "local", "--opt", "type=tmpfs", "--opt", "device=tmpfs"],
        ...["--opt", "o=size=3m", volume],
      ]);
      const { code, stderr } = await download({ repo: "good/small", volume });
      await run("docker", ["volume", "rm", volume]);
      expect(code).toBe(3);
      expect(stderr).toContain("error: good/small needs 3.1 MB on the disk");
      expect(await requests("good/small")).toEqual([]);
    },
    MINUTE,
  );

  test(
    "a gated model names the missing token, and downloads with it",
    async () => {
      const without = await download({ repo: "gated/model" });
      expect([without.code, without.stderr]).toEqual([
        5,
        expect.stringContaining("set a token with `pulumi config set --secret gpubox:hfToken`"),
      ]);
      const wrong = await download({ repo: "gated/model", token: "hf_wrong" });
      expect([wrong.code, wrong.stderr]).toEqual([5, expect.stringContaining("is not accepted")]);
      expect((await download({ repo: "gated/model", token: TOKEN })).code).toBe(0);
    },
    MINUTE,
  );

  test(
    "a file that the hub does not have is named",
    async () => {
      const { code, stderr } = await download({ repo: "good/model", file: "none.gguf" });
      expect([code, stderr]).toEqual([
        6,
        expect.stringContaining(`the hub has no none.gguf in good/model at ${REVISION}`),
      ]);
    },
    MINUTE,
  );

  test(
    "the store that the hub sends on to never sees the token",
    async () => {
      expect((await download({ repo: "moved/redirected", token: TOKEN })).code).toBe(0);
      expect(await requests("moved/redirected")).toEqual([expect.stringContaining(`Bearer ${TOKEN}`)]);
      expect(await requests("good/redirected")).toEqual([expect.stringMatching(/ None None$/)]);
    },
    MINUTE,
  );

  describe("of a revision that is not locked", () => {
    const COMMIT = "fedcba98".repeat(5);
    const main = (more: { paths: string[] } | typeof TRANSFORMERS) => ({ revision: "main", ...more });

    test(
      "takes the commit that the hub has when it is first asked, by the hub's sizes and hashes, and says so",
      async () => {
        const repo = "good/unlocked";
        const { code, stdout } = await download({ repo, wanted: main({ paths: ["m.gguf"] }) });
        expect(code).toBe(0);
        expect(stdout.split("\n").slice(0, 2)).toEqual([
          `${repo}@main is not locked: it is what the hub had when first asked, fedcba98fedc`,
          `${repo}@fedcba98fedc: 1 files, 3.0 MB, 0 B of it here already`,
        ]);
        expect(readFileSync(join(folder(repo, "main"), "m.gguf")).equals(content)).toBe(true);
        const asked = await requests(repo);
        expect(asked.map((line) => line.split(" ")[0])).toEqual([
          `/api/models/${repo}/revision/main`,
          `/api/models/${repo}/tree/${COMMIT}?recursive=true`,
          `/${repo}/resolve/${COMMIT}/m.gguf`,
        ]);
        // A projector that is wanted later comes from the same commit, without asking what the hub has now.
        const wanted = main({ paths: ["m.gguf", "m-mmproj.gguf"] });
        const later = await download({ repo, wanted });
        expect([later.code, later.stdout]).toEqual([0, expect.stringContaining(": 1 files, 3.0 MB")]);
        expect((await requests(repo)).slice(3).map((line) => line.split(" ")[0])).toEqual([
          `/${repo}/resolve/${COMMIT}/m-mmproj.gguf`,
        ]);
        const again = await download({ repo, wanted });
        expect([again.code, again.stdout]).toEqual([0, expect.stringMatching(/all 2 files are here\n$/)]);
        expect(await requests(repo)).toHaveLength(4);
      },
      MINUTE,
    );

    test(
      "takes of a repository what engines read, from every page of the hub's list, with the token of a gated one",
      async () => {
        const repo = "gated-paged/model";
        const wanted = main(TRANSFORMERS);
        const without = await download({ repo, wanted });
        expect([without.code, without.stderr]).toEqual([5, expect.stringContaining("gpubox:hfToken")]);
        expect((await download({ repo, wanted, token: TOKEN })).code).toBe(0);
        expect(readdirSync(folder(repo, "main")).sort()).toEqual([
          ...[".hub.json", ".lock", "config.json", "model.safetensors", "tokenizer.json"],
        ]);
      },
      MINUTE,
    );

    test(
      "is refused where the hub has no such file or repository, by its name",
      async () => {
        const file = await download({ repo: "good/lacking", wanted: main({ paths: ["lost.gguf"] }) });
        expect([file.code, file.stderr]).toEqual([
          6,
          expect.stringContaining(`the hub has no lost.gguf in good/lacking at ${COMMIT}`),
        ]);
        const repository = await download({ repo: "none/model", wanted: main(TRANSFORMERS) });
        expect([repository.code, repository.stderr]).toEqual([
          6,
          "error: the hub has no none/model, or not this revision of it; correct the source in the stack config\n",
        ]);
      },
      MINUTE,
    );
  });

  test(
    "progress is shown, a second download waits for the first, and the token appears nowhere",
    async () => {
      const first = download({ repo: "slow/model", token: TOKEN });
      const filter = "label=gpubox.weights=slow/model";
      let id = "";
      while (id === "") id = (await output("docker", ["ps", "-q", "--filter", filter])).trim();
      const second = download({ repo: "slow/model", token: TOKEN });
      const seen = commandLines() + (await output("docker", ["inspect", id]));
      const [one, two] = await Promise.all([first, second]);
      expect([one.code, two.code]).toEqual([0, 0]);
      expect(one.stdout).toMatch(
        /^m\.gguf [\d.]+ [KM]B of 3\.0 MB · all \d+ % · [\d.]+ MB\/s · ETA 0m0\ds$/m,
      );
      expect(two.stdout).toBe(
        "slow/model: another download of it is at work; waiting\nslow/model: all 1 files are here\n",
      );
      expect(seen).toContain("gpubox.weights=slow/model");
      expect(seen + one.stdout + one.stderr + two.stdout + two.stderr).not.toContain(TOKEN);
      expect(await requests("slow/model")).toEqual([expect.stringContaining(`Bearer ${TOKEN}`)]);
    },
    MINUTE,
  );
});
