import type { BoxFiles } from "../../../configs/remotes/files";
import { atItsBox } from "../../../configs/remotes/paths";
import {
  coder,
  far,
  files,
  gpu2,
  gpu3,
  key,
  key3,
  mistakes,
  reachable,
  type Values,
} from "../../support/boxFiles";

describe("refused with the key of the user's file:", () => {
  const box = (more: Values = {}) => ({ boxes: { gpu2: { key, ...more } } });
  const at = (gateway: Values) => files({ gpu2: { ...gpu2, gateway } });
  test.each<[string, Values, BoxFiles, string[]]>([
    [
      "a box that only its own host reaches",
      box(),
      at({}),
      [
        "gpubox:boxes.gpu2: That box listens on its own loopback only: gpubox:gateway.bind is 127.0.0.1 in Pulumi.gpu2.yaml. Write an address there that this host reaches, its names into gateway.hosts, and run `gpubox up` for it; or write here the url of another way to it.",
      ],
    ],
    [
      "a box without a name",
      box(),
      at({ bind: "0.0.0.0" }),
      [
        "gpubox:boxes.gpu2: No name of that box is known: gpubox:gateway.hosts is empty in Pulumi.gpu2.yaml. List there the names or addresses by which others reach it.",
      ],
    ],
    [
      "a URL of the gateway's own container",
      box({ url: "http://localhost:4000" }),
      at(reachable),
      [
        "gpubox:boxes.gpu2.url: localhost is the gateway container's own loopback. Write an address of that box that containers of this host reach.",
      ],
    ],
    [
      "a URL with a version",
      box({ url: "http://100.64.0.2:4000/v1" }),
      at(reachable),
      ['gpubox:boxes.gpu2.url: "http://100.64.0.2:4000/v1" ends in a version. Write http://100.64.0.2:4000.'],
    ],
    [
      "a name that the box does not answer to",
      box({ url: "http://proxy.lan" }),
      at(reachable),
      [
        "gpubox:boxes.gpu2.url: That box does not accept the name proxy.lan. Add it to gpubox:gateway.hosts in Pulumi.gpu2.yaml.",
      ],
    ],
    [
      "a stack file that is not there",
      box({ stack: "gpu4" }),
      { gpu4: { unreadable: { what: "There is no Pulumi.gpu4.yaml next to this file.", fix: "Write it." } } },
      ["gpubox:boxes.gpu2.stack: There is no Pulumi.gpu4.yaml next to this file. Write it."],
    ],
    [
      "a file with a mistake",
      box(),
      files({ gpu2: { ...gpu2, models: { coder: { ...coder, maxModlLen: 1 } } } }),
      [
        "gpubox:boxes.gpu2: Pulumi.gpu2.yaml has mistakes, so the models of that box are unknown. `gpubox preview --stack gpu2` lists them.",
      ],
    ],
    [
      "a file with a mistake in its own boxes",
      box(),
      files({ gpu2: { ...gpu2, boxes: { gpu3: {} } } }),
      [
        "gpubox:boxes.gpu2: Pulumi.gpu2.yaml has mistakes, so the models of that box are unknown. `gpubox preview --stack gpu2` lists them.",
      ],
    ],
    [
      "itself",
      { boxes: { me: { stack: "gw", key } } },
      files({ gw: {} }),
      [
        "gpubox:boxes.me.stack: It is this stack itself. Name another one; its own models stand under gpubox:models.",
      ],
    ],
    [
      "a circle",
      box(),
      files({
        gpu2: { ...gpu2, boxes: { gpu3: { key } } },
        gpu3: { ...gpu3, models: {}, boxes: { gw: { key } } },
      }),
      [
        "gpubox:boxes.gpu2.stack: The boxes serve each other's models in a circle: gw → gpu2 → gpu3 → gw. Take gw out of gpubox:boxes in Pulumi.gpu3.yaml.",
      ],
    ],
    [
      "a model that the box does not have",
      box({ models: ["codr"] }),
      files({ gpu2 }),
      ['gpubox:boxes.gpu2.models[0]: That box serves no model "codr". Did you mean "coder"?'],
    ],
    [
      "a model of the stack's own by the same name",
      { ...box(), models: { coder: far } },
      files({ gpu2 }),
      [
        'gpubox:boxes.gpu2: Its model "coder" has a name that is taken by gpubox:models.coder. Rename one of them, or write here which of its models to serve: models: [ … ].',
      ],
    ],
    [
      "an alias that leads elsewhere already",
      { boxes: { gpu2: { key }, gpu3: { key: key3 } } },
      files({ gpu2, gpu3: { ...gpu3, models: { other: { ...far, aliases: ["local"] } } } }),
      [
        'gpubox:boxes.gpu3: "local", an alias of its model other, is taken by coder of the box gpu2. Write aliases: false here, or rename one of them; each name leads to one model.',
      ],
    ],
    [
      "one name for two kinds of model",
      { boxes: { gpu2: { key }, gpu3: { key: key3 } } },
      files({ gpu2, gpu3: { ...gpu3, models: { coder: { ...far, mode: "embedding" } } } }),
      [
        'gpubox:boxes.gpu3: Its model "coder" has another mode than that of the box gpu2, and both would be behind one name. Make them the same in the two files, rename one, or write here which of its models to serve: models: [ … ].',
      ],
    ],
    [
      "a key that is not set",
      box({ key: { secret: "gpu9Key" } }),
      files({ gpu2: { ...gpu2, models: { coder, far } } }),
      [
        "gpubox:boxes.gpu2.key: The secret gpu9Key is missing. Set it: pulumi config set --secret gpubox:gpu9Key.",
      ],
    ],
    [
      "a key of a box that there is none of",
      { boxes: { gpu2: { stak: "x", key } } },
      files({ gpu2 }),
      ['gpubox:boxes.gpu2.stak: "stak" is no setting here. Did you mean "stack"?'],
    ],
    [
      "a box without a key",
      { boxes: { gpu2: {} } },
      files({ gpu2 }),
      ["gpubox:boxes.gpu2.key: It is missing. Write a map of settings."],
    ],
  ])("%s", (_, values, boxFiles, expected) => expect(mistakes(values, boxFiles)).toEqual(expected));
});

test("what is wrong with a box's model is told at the box, with the model's name", () => {
  const problem = { path: "gpubox:models.coder.instances[0]", what: "It is wrong.", fix: "Mend it." };
  expect(atItsBox(problem, { coder: ["gpu2"] }, ["code", "coder"])).toEqual({
    path: "gpubox:boxes.gpu2",
    what: "Of its model coder: It is wrong.",
    fix: "Mend it.",
  });
});
