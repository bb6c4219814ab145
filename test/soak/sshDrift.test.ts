import { allocate } from "../support/allocate";
import { changesOfWhatIsGone, changesOfWhatIsThere } from "../support/changesOnHost";
import { needs } from "../support/needs";
import { gpubox } from "../support/project";
import { SECOND_HOST } from "../support/secondHost";
import { SshBox } from "../support/sshBox";

const MINUTE = 60_000;
const { stack: STACK, port: PORT, net: NET } = allocate("ssh-drift");

needs(
  "docker",
  "pulumi",
  ...SECOND_HOST,
)("drift of a host behind SSH", () => {
  let box: SshBox;

  beforeAll(async () => {
    box = new SshBox(STACK, PORT, NET);
    await box.start();
    const prepared = await gpubox(box.laptop, "host", "prepare", "--yes");
    expect([prepared.code, prepared.stderr]).toEqual([0, ""]);
    await box.copyImages();
    await box.mustUp(box.laptop);
    await box.readKey();
  }, 20 * MINUTE);
  afterAll(() => box?.remove(), 2 * MINUTE);

  test(
    "is shown for each of twenty-one changes that somebody made by hand, and the next up repairs them",
    async () => {
      let made = 0;
      for (const changes of [changesOfWhatIsThere, changesOfWhatIsGone])
        made += await box.proveDrift(changes);
      expect(made).toBe(21);
    },
    15 * MINUTE,
  );
});
