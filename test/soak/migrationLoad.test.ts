import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { output } from "../../platform/process";
import { mustSucceed, type Release } from "../load/box";
import { oneGeneration } from "../load/scene";
import { declaredKey, everyBook, openPaidBox, Payers, readBooks, settledBooks } from "../load/spend";
import { allocate } from "../support/allocate";
import { needs } from "../support/needs";
import { OLDER_LITELLM, placeOlderGateway } from "../support/olderGateway";
import { gatewaySql } from "../support/postgres";
import { gpubox, placeProject } from "../support/project";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("migrate");

needs("docker", "pulumi")(
  "LiteLLM's own migration under load, from an older version to the pinned one",
  () => {
    let box: Awaited<ReturnType<typeof openPaidBox>>;
    let key: string;
    let placePinned: () => void;

    beforeAll(async () => {
      const older: Release = {
        place: (dir) => {
          placeProject(dir);
          placePinned = placeOlderGateway(dir);
        },
        up: (project) => gpubox(project, "up", "--yes"),
      };
      box = await openPaidBox(STACK, PORT, { release: older });
      key = await declaredKey(box);
    }, 30 * MINUTE);
    afterAll(() => box?.close());

    const version = async () => {
      const [gateway] = box.serving().split(",");
      const program = "import importlib.metadata as m; print(m.version('litellm'))";
      return output("docker", ["exec", gateway!, "python3", "-c", program]);
    };
    const migrations = async () =>
      Number(
        await gatewaySql(
          { prefix: `gpubox-${STACK}` },
          "SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NOT NULL",
        ),
      );
    /** Reasons of the backups, oldest first. */
    const backups = () => {
      const folder = join(box.project.dir, ".gpubox/backups");
      if (!existsSync(folder)) return [];
      const manifests = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) =>
        path.endsWith("manifest.json"),
      );
      return manifests.sort().map((path) => JSON.parse(readFileSync(join(folder, path), "utf8")).reason);
    };

    test(
      "`up` backs the database up, migrates it, and loses neither a request nor a cent",
      async () => {
        expect(await version()).toBe(OLDER_LITELLM);
        const [applied, saved] = [await migrations(), backups().length];
        const payers = await Payers.start(box);
        placePinned();
        const change = await box.change(() => {}, `${box.command("up")} --yes`, 20 * MINUTE);
        const { answered, refused, unsure, reasons } = await payers.stop();
        mustSucceed(change);
        console.info(JSON.stringify({ served: change.served, answered, applied, now: await migrations() }));
        expect({ refused, unsure, reasons }).toEqual({ refused: 0, unsure: 0, reasons: [] });
        expect(answered).toBeGreaterThan(100);
        const pinned = /^litellm==(\S+)/m.exec(
          readFileSync(join(box.project.dir, "images/gateway/requirements.txt"), "utf8"),
        );
        expect(await version()).toBe(pinned?.[1]);
        expect(await migrations()).toBeGreaterThan(applied);
        expect(backups().slice(saved)).toEqual(["before the gateway's new image"]);
        await oneGeneration(box);
        expect(await settledBooks(box, key, answered)).toEqual(everyBook(answered));
      },
      30 * MINUTE,
    );

    test(
      "`gpubox rollback` brings the older gateway back on the newer schema; keys and spend stay",
      async () => {
        const before = await readBooks(box, key);
        const applied = await migrations();
        const payers = await Payers.start(box);
        const change = await box.change(() => {}, box.command("rollback"), 20 * MINUTE);
        const { answered, refused, unsure, reasons } = await payers.stop();
        mustSucceed(change);
        expect(change.stdout).toContain("a rollback does not undo a migration");
        expect({ refused, unsure, reasons }).toEqual({ refused: 0, unsure: 0, reasons: [] });
        expect({ version: await version(), migrations: await migrations() }).toEqual({
          version: OLDER_LITELLM,
          migrations: applied,
        });
        expect((await settledBooks(box, key, before.key + answered)).key).toBe(before.key + answered);
      },
      30 * MINUTE,
    );
  },
);
