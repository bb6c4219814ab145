import { allocate } from "../support/allocate";
import { needs } from "../support/needs";
import { PreviewBox, proveEdits } from "../support/previewBox";
import { EDITS } from "../support/previewEdits";

const MINUTE = 60_000;
const { stack: STACK, port: PORT } = allocate("edits");

needs("docker", "pulumi")("what a preview says of one edit is what an `up` of that edit alone does", () => {
  let box: PreviewBox;

  beforeAll(async () => {
    box = await PreviewBox.open(STACK, PORT);
  }, 20 * MINUTE);
  afterAll(() => box?.close(), MINUTE);

  test.each(EDITS.flat().map((edit) => [edit.what, edit] as const))(
    "%s",
    (_, edit) => proveEdits(box, [edit]),
    6 * MINUTE,
  );
});
