import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadArchive, saveArchive, sumFile } from "../../platform/docker/archive";
import { dockerAt } from "../../platform/docker/client";
import { needs } from "../support/needs";

const HOST = "unix:///var/run/docker.sock";

needs("docker")("images in a file, by a real Docker", () => {
  const reference = `gpubox/test-archive:${process.pid}`;
  const dir = mkdtempSync(join(tmpdir(), "gpubox-archive-"));
  const file = join(dir, "images.tar");
  const docker = dockerAt(HOST);
  const layers = async () => (await docker.images([reference])).get(reference)?.RootFS?.Layers;
  beforeAll(() => {
    writeFileSync(join(dir, "hello"), "hello");
    const script = `tar -C ${dir} -c hello | docker -H ${HOST} import - ${reference}`;
    expect(spawnSync("sh", ["-c", script]).status).toBe(0);
  });
  afterAll(async () => {
    await docker.run(["image", "rm", reference]);
    rmSync(dir, { recursive: true });
  });

  test("come back with the same layers, and the file's sum is the one that was made on the way", async () => {
    const before = await layers();
    expect(before).toHaveLength(1);
    const written: number[] = [];
    const saved = await saveArchive(HOST, [reference], file, (done) => written.push(done));
    expect(saved).toEqual(await sumFile(file, () => {}));
    expect([saved.bytes, written.at(-1)]).toEqual(Array(2).fill(readFileSync(file).length));
    await docker.output(["image", "rm", reference]);
    expect(await layers()).toBeUndefined();
    const sent: number[] = [];
    await loadArchive(HOST, file, (done) => sent.push(done));
    expect(await layers()).toEqual(before);
    expect(sent.at(-1)).toBe(saved.bytes);
  });

  test("that Docker refuses are told in its words, in both directions", async () => {
    const absent = saveArchive(HOST, ["gpubox/none:1"], join(dir, "none"), () => {});
    await expect(absent).rejects.toThrow(/^`docker save` failed: .*(No such image|not found|does not exist)/);
    const broken = join(dir, "broken");
    writeFileSync(broken, "no archive".repeat(10_000));
    await expect(loadArchive(HOST, broken, () => {})).rejects.toThrow(/^`docker load` failed: .*(tar|EOF)/);
    const folder = saveArchive(HOST, [reference], join(file, "x"), () => {});
    await expect(folder).rejects.toThrow("cannot be written (ENOTDIR). Name a folder that you may write to.");
  });
});
