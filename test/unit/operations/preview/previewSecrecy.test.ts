import { compare } from "../../../../operations/preview/compare";
import { mistakesMarkdown, previewMarkdown } from "../../../../operations/preview/render";
import { testSide, tinyModel } from "../../../support/stacks";

const { tiny } = tinyModel;

describe("what stands in a config", () => {
  test("and looks like a secret is hidden", () => {
    const before = testSide();
    const after = testSide();
    after.values = { models: tinyModel, gateway: { env: { A: "sk-PLANTED-0123456789abcdef" } } };
    expect(compare(before, after).settings).toEqual([
      { path: "gpubox:gateway.env", after: '{"A":"(hidden)"}' },
    ]);
  });

  test("and looks like a secret is hidden behind a flag and in a container's reasons too, whatever is waived", () => {
    const policy = { waive: { "no-plaintext-secrets": "they are keys of a public test" } };
    const side = (word: string) =>
      testSide({
        policy,
        models: {
          tiny: {
            ...tiny,
            env: { MY_TOKEN: `PLANTED-env-${word}` },
            extraArgs: [
              ...[`--push=hf_PLANTED0123456789${word}`, "--admin-api-key", `PLANTED-${word}`],
              ...["--header", `Authorization: Bearer PLANTED-${word}`],
              ...["--options", `{"password": "PLANTED-${word}", "key":"sk-PLANTED0123456789${word}"}`],
            ],
          },
        },
      });
    const changes = compare(side("first"), side("second"));
    expect(changes.models.find(({ model }) => model === "tiny")?.fields).toEqual([
      {
        path: "gpubox:models.tiny.env.MY_TOKEN",
        before: "(hidden)",
        after: "(hidden)",
      },
      {
        path: "gpubox:models.tiny.extraArgs",
        before: expect.stringMatching(/^\["--push=\(hidden\)","--admin-api-key","\(hidden\)","--header",/),
        after: expect.stringMatching(/^\["--push=\(hidden\)","--admin-api-key","\(hidden\)","--header",/),
      },
    ]);
    const backend = changes.containers.find(({ container }) => container === "backend-tiny");
    expect(backend?.reasons.map(({ detail }) => detail)).toEqual(
      expect.arrayContaining([
        expect.stringContaining("−--push=(hidden)"),
        expect.stringContaining("+--push=(hidden)"),
        expect.stringContaining("--admin-api-key (hidden) → (hidden)"),
        "MY_TOKEN (hidden) → (hidden)",
      ]),
    );
    expect(JSON.stringify(changes)).not.toContain("PLANTED");
  });

  test("can neither mention anybody nor break out of the Markdown", () => {
    const changes = compare(testSide(), testSide());
    const preview = {
      ...changes,
      stack: "test",
      base: "x",
      policy: [],
      notes: ["<img src=x> @everybody `a`"],
    };
    expect(previewMarkdown(preview)).toContain("- &#60;img src=x&#62; &#64;everybody `a`");
    const path = "gpubox:models.`x`\n## y";
    expect(
      mistakesMarkdown("test", [{ path, what: "Bad <b>.", fix: "@x" }])
        .split("\n")
        .slice(2),
    ).toEqual([
      "**`Pulumi.test.yaml` has a mistake: `up` would refuse it.**",
      "",
      "- `gpubox:models.'x'\\n## y`: Bad &#60;b&#62;. &#64;x",
      "",
    ]);
  });
});
