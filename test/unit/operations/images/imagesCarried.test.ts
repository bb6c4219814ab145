import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseStack } from "../../../../configs/parse";
import type { Architecture } from "../../../../configs/schema/host";
import { loadImages } from "../../../../operations/images/loadImages";
import { saveImages } from "../../../../operations/images/saveImages";
import { packageDir } from "../../../../platform/project";
import { recipeReference } from "../../../../platform/stack/recipes";
import { rawStack, tinyModel } from "../../../support/stacks";

/**
 * Stands for Docker's command line. An engine is a folder: what it says of itself, and a file for each image. An
 * archive is a line for each image.
 */
const DOCKER = `#!/bin/sh
engine=$ENGINES/\${2##*/}; shift 2
file() { printf %s "$engine/images/$(printf %s "$1" | tr /: __)"; }
case "$1 $2" in
version*) echo 28.5.2 ;;
info*) cat "$engine/info" ;;
"image inspect") shift 2; code=0; found=
  for one; do
    if [ -f "$(file "$one")" ]; then found="$found\${found:+,}$(cat "$(file "$one")")"
    else echo "Error: No such image: $one" >&2; code=1; fi
  done
  echo "[$found]"; exit $code ;;
save*) shift; for one; do echo "$one $(cat "$(file "$one")")"; done ;;
load*) echo loaded >>"$engine/loads"; while read -r one text; do printf %s "$text" >"$(file "$one")"; done ;;
*) echo "no such command: $*" >&2; exit 1 ;;
esac
`;

let dir: string;
let folder: string;
const before = { path: process.env.PATH, mode: process.env.GPUBOX_IMAGES };
const log: string[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gpubox-carried-"));
  folder = join(dir, "stick/images");
  writeFileSync(join(dir, "docker"), DOCKER, { mode: 0o755 });
  Object.assign(process.env, { PATH: `${dir}:${before.path}`, ENGINES: dir, GPUBOX_IMAGES: "build" });
  log.length = 0;
});
afterEach(() => {
  process.env.PATH = before.path;
  delete process.env.ENGINES;
  if (before.mode === undefined) delete process.env.GPUBOX_IMAGES;
  else process.env.GPUBOX_IMAGES = before.mode;
  rmSync(dir, { recursive: true });
});

const config = (arch: Architecture = "amd64") =>
  parseStack(
    rawStack({
      host: { docker: "unix:///far", arch },
      cache: { mode: "none" },
      database: { mode: "none" },
      models: tinyModel,
    }),
  );
const ROLES = ["gateway", "edge", "llamacpp"] as const;
const REFERENCES = ROLES.map((role) => recipeReference(packageDir, role));

function makeEngine(name: string, processor: string): void {
  mkdirSync(join(dir, name, "images"), { recursive: true });
  const info = { ServerVersion: "28.5.2", Driver: "overlay2", DockerRootDir: "/", MemTotal: 1, NCPU: 1 };
  writeFileSync(join(dir, name, "info"), JSON.stringify({ ...info, Architecture: processor }));
}

const imageFile = (engine: string, reference: string) =>
  join(dir, engine, "images", reference.replace(/[/:]/g, "_"));

function putImages(engine: string): void {
  for (const [index, reference] of REFERENCES.entries())
    writeFileSync(
      imageFile(engine, reference),
      JSON.stringify({
        Id: `sha256:${index}`,
        Size: 1000,
        Config: {},
        RootFS: { Layers: ["sha256:base", reference] },
      }),
    );
}

const save = (arch?: Architecture) =>
  saveImages({
    projectDir: packageDir,
    config: config(arch),
    docker: "unix:///own",
    folder,
    log: (line) => log.push(line),
  });
const load = () =>
  loadImages({ projectDir: packageDir, at: config(), folder, log: (line) => log.push(line) });

describe("images that are carried to a host without a registry", () => {
  beforeEach(() => {
    makeEngine("own", "x86_64");
    makeEngine("far", "x86_64");
    putImages("own");
  });

  test("arrive whole by the names that up looks for, and a second time there is nothing to do", async () => {
    const { images, archive } = await save();
    expect(images).toEqual(
      REFERENCES.map((reference, index) => ({
        ...{ reference, roles: [ROLES[index]], layers: ["sha256:base", reference], bytes: 1000 },
      })),
    );
    expect(archive.bytes).toBe(readFileSync(join(folder, "images.tar")).length);
    expect(await load()).toEqual({ images: REFERENCES, loaded: true });
    expect(REFERENCES.map((one) => existsSync(imageFile("far", one)))).toEqual([true, true, true]);
    expect(await load()).toEqual({ images: REFERENCES, loaded: false });
    expect(readFileSync(join(dir, "far/loads"), "utf8")).toBe("loaded\n");
  });

  const untouched = () => expect(existsSync(join(dir, "far/loads"))).toBe(false);

  test("are refused where the file was damaged on its way, and the host is as it was", async () => {
    await save();
    const path = join(folder, "images.tar");
    writeFileSync(path, readFileSync(path, "utf8").replace("base", "bose"));
    await expect(load()).rejects.toThrow(
      /images\.tar is damaged: its sha256 is [0-9a-f]{64}, and was [0-9a-f]{64}\./,
    );
    appendFileSync(path, "x");
    await expect(load()).rejects.toThrow(/has \d+ bytes, and was saved with \d+\./);
    rmSync(path);
    await expect(load()).rejects.toThrow(/images\.tar does not exist\. Copy the folder again/);
    untouched();
  });

  test("are refused where the folder was never finished, or says nonsense", async () => {
    await expect(load()).rejects.toThrow(
      /images\.json does not exist\. Name a folder that `gpubox images save` wrote/,
    );
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "images.json"), "{");
    await expect(load()).rejects.toThrow("is not JSON");
    writeFileSync(join(folder, "images.json"), '{"version": 2}');
    await expect(load()).rejects.toThrow("is not valid: version:");
    untouched();
  });

  test("are those of the host's processor, on both ends", async () => {
    await expect(save("arm64")).rejects.toThrow(
      "The Docker engine at unix:///own runs on amd64, and the host of this stack is arm64",
    );
    await save();
    makeEngine("far", "aarch64");
    await expect(load()).rejects.toThrow("The images are for amd64, and this machine is arm64.");
    untouched();
  });

  test("are compared layer by layer with what arrived", async () => {
    await save();
    const text = readFileSync(join(folder, "images.json"), "utf8");
    writeFileSync(join(folder, "images.json"), text.replace('"sha256:base"', '"sha256:other"'));
    await expect(load()).rejects.toThrow(
      `What arrived on this machine is not what the folder says: ${REFERENCES[0]}.`,
    );
  });

  test("of another version's recipes are told, because up would build its own", async () => {
    await save();
    const [gateway = ""] = REFERENCES;
    const older = "gpubox/gateway:000000000000";
    const change = (path: string) =>
      writeFileSync(path, readFileSync(path, "utf8").replaceAll(gateway, older));
    change(imageFile("own", gateway));
    writeFileSync(imageFile("far", older), readFileSync(imageFile("own", gateway)));
    change(join(folder, "images.json"));
    await load();
    expect(log.at(-1)).toBe(`  note: this checkout wants ${gateway}, and the folder has ${older}`);
  });
});
