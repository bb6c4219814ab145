import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { branches, type ChatCall } from "../../../../operations/trajectory/conversations";
import { convertLogs } from "../../../../operations/trajectory/convert";

const user = (content: unknown) => ({ role: "user", content });
const said = (content: unknown, more: object = {}) => ({ role: "assistant", content, ...more });

function call(
  id: string,
  messages: unknown[],
  answer: Record<string, unknown>,
  more: Partial<ChatCall> = {},
): ChatCall {
  return { id, protocol: "openai", model: "m", messages, answers: [[answer]], ...more };
}

describe("a conversation", () => {
  test("with a growing history is one list, with the last answer at its end", () => {
    const first = [user("a")];
    const second = [...first, said("A"), user("b")];
    const found = branches([call("1", first, said("A")), call("2", second, said("B"))]);
    expect(found).toEqual([
      { protocol: "openai", model: "m", calls: ["1", "2"], messages: [...second, said("B")] },
    ]);
  });

  test("keeps an answer as it was received when the client changed it before sending it back", () => {
    const first = [user("a")];
    const full = said("A", { reasoning_content: "because" });
    const second = [...first, said("A"), user("b")];
    const [branch] = branches([call("1", first, full), call("2", second, said("B"))]);
    expect(branch?.received).toEqual([{ index: 1, message: full }]);
    expect(branch?.messages).toEqual([...second, said("B")]);
  });

  test("of two agents, or with a shortened history, has a list for each", () => {
    const main = [user("a")];
    const helper = [user("help")];
    const longer = [...main, said("A"), user("b")];
    const short = [user("summary"), user("c")];
    const calls = [
      call("1", main, said("A")),
      call("2", helper, said("H")),
      call("3", longer, said("B")),
      call("4", short, said("C")),
    ];
    expect(branches(calls).map((branch) => branch.calls)).toEqual([["1", "3"], ["2"], ["4"]]);
  });

  test("continues the longest list that fits", () => {
    const one = [user("a")];
    const two = [...one, said("A"), user("b")];
    const three = [...two, said("B"), user("c")];
    const calls = [call("1", one, said("A")), call("2", one, said("other")), call("3", two, said("B"))];
    expect(branches([...calls, call("4", three, said("C"))]).map((branch) => branch.calls)).toEqual([
      ["1", "3", "4"],
      ["2"],
    ]);
  });

  test("continues the sample whose answer the client sends back", () => {
    const one = [user("a")];
    const calls = [
      call("1a", one, said("A")),
      call("1b", one, said("B")),
      call("2b", [...one, said("B"), user("b")], said("C")),
    ];
    const found = branches(calls);
    expect(found.map((branch) => branch.calls)).toEqual([["1a"], ["1b", "2b"]]);
    for (const branch of found) expect(branch).not.toHaveProperty("received");
  });

  test("with several choices has a list for each", () => {
    const several = call("1", [user("a")], said("A"), { answers: [[said("A")], [said("B")]] });
    expect(branches([several]).map(({ messages }) => messages.at(-1))).toEqual([said("A"), said("B")]);
  });

  test("in both protocols is never mixed", () => {
    const one = [user("a")];
    const two = [...one, said("A"), user("b")];
    const calls = [
      call("1", one, said("A")),
      call("2", two, said([{ type: "text", text: "B" }]), { protocol: "anthropic" }),
    ];
    expect(branches(calls).map(({ protocol }) => protocol)).toEqual(["openai", "anthropic"]);
  });
});

describe("responses", () => {
  const item = (id: string, text: string) => ({
    ...{ type: "message", id, role: "assistant" },
    content: [{ type: "output_text", text }],
  });
  const response = (id: string, messages: unknown[], answer: object, previous?: unknown): ChatCall => ({
    ...call(id, messages, {}, { protocol: "responses", answers: [[answer as never]] }),
    response: { id: `resp-${id}`, ...(previous ? { previous } : {}) },
  });

  test("that name their predecessor are one list with it", () => {
    const calls = [
      response("1", [user("a")], item("A", "yes")),
      response("2", [user("b")], item("B", "no"), "resp-1"),
      response("3", [user("c")], item("C", "well"), "resp-2"),
    ];
    const [branch, ...others] = branches(calls);
    expect([branch?.calls, branch?.messages, others]).toEqual([
      ["1", "2", "3"],
      [user("a"), item("A", "yes"), user("b"), item("B", "no"), user("c"), item("C", "well")],
      [],
    ]);
    expect(branch).not.toHaveProperty("previous");
  });

  test("that send all items again are one list too", () => {
    const second = [user("a"), item("A", "yes"), user("b")];
    const calls = [response("1", [user("a")], item("A", "yes")), response("2", second, item("B", "no"))];
    expect(branches(calls)).toEqual([
      { protocol: "responses", model: "m", calls: ["1", "2"], messages: [...second, item("B", "no")] },
    ]);
  });

  test("that name one missing from the log say which", () => {
    const [branch] = branches([response("1", [user("b")], item("B", "no"), "resp-0")]);
    expect([branch?.previous, branch?.messages]).toEqual(["resp-0", [user("b"), item("B", "no")]]);
  });
});

describe("a conversion", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "gpubox-convert-"));
    appendFileSync(join(folder, "log.counter.jsonl"), "");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function line(values: Record<string, unknown>, messages: unknown[], answer: unknown) {
    const at = "2026-01-01T00:00:00.000000Z";
    const body = { id: "x", choices: [{ index: 0, message: answer }] };
    const text = JSON.stringify({
      ...{
        schema: 1,
        id: "00000000-0000-4000-8000-000000000001",
        attempt: 1,
        final: true,
        seq: 1,
        process: "p",
      },
      ...{ job: null, generation: null, call_id: null, trace_id: "t", session_id: null, started_at: at },
      ...{
        ended_at: at,
        duration_ms: 1,
        first_token_ms: null,
        protocol: "openai",
        route: "chat/completions",
      },
      ...{ model: "m", stream: false, outcome: "ok", error: null, upstream: null, usage: null, cost: null },
      ...{ cache_hit: null, told: true },
      request: {
        method: "POST",
        path: "/v1/chat/completions",
        headers: {},
        redacted: false,
        body: { messages },
      },
      response: { status: 200, complete: true, bytes: 1, body },
      ...values,
    });
    appendFileSync(join(folder, "log.jsonl"), `${text}\n`);
  }

  test("makes a file for each session, or without one for each trace, in the order of the requests", async () => {
    const second = [user("a"), said("A"), user("b")];
    // Written after the one that came after it.
    line({ session_id: "s", seq: 2, started_at: "2026-01-01T00:00:02.000000Z" }, second, said("B"));
    line({ session_id: "s", seq: 1, started_at: "2026-01-01T00:00:01.000000Z" }, [user("a")], said("A"));
    line({ trace_id: "t9" }, [user("z")], said("Z"));
    const { files, calls, leftOut } = await convertLogs([folder], join(folder, "out"));
    expect([files.map((path) => basename(path)).sort(), calls, leftOut]).toEqual([
      ["s.json", "t9.json"],
      3,
      {},
    ]);
    const { conversation, branches: lists } = JSON.parse(readFileSync(join(folder, "out", "s.json"), "utf8"));
    expect([conversation, lists.length, lists[0].messages]).toEqual(["s", 1, [...second, said("B")]]);
  });

  test("keeps responses in their own form, and writes a bare text as the message that it stands for", async () => {
    const output = [{ type: "message", role: "assistant", content: [{ type: "output_text", text: "A" }] }];
    line(
      {
        ...{ route: "responses", session_id: "r" },
        request: {
          ...{ method: "POST", path: "/v1/responses", headers: {}, redacted: false },
          body: { input: "a", instructions: "be brief", previous_response_id: null },
        },
        response: { status: 200, complete: true, bytes: 1, body: { id: "resp", output } },
      },
      [],
      null,
    );
    const { calls, leftOut } = await convertLogs([folder], join(folder, "out"));
    expect([calls, leftOut]).toEqual([1, {}]);
    const file = JSON.parse(readFileSync(join(folder, "out", "r.json"), "utf8"));
    expect(file.branches).toEqual([
      {
        ...{ protocol: "responses", model: "m", calls: ["00000000-0000-4000-8000-000000000001"] },
        ...{ system: "be brief", messages: [user("a"), ...output] },
      },
    ]);
  });

  test("separates sessions of the same name in two jobs, and is as private as the log", async () => {
    line({ session_id: "task-1", job: "one" }, [user("a")], said("A"));
    line({ session_id: "task-1", job: "two" }, [user("a")], said("B"));
    const { files } = await convertLogs([folder], join(folder, "out"));
    expect(files.map((path) => basename(path))).toEqual(["task-1.json", "task-1~2.json"]);
    const modes = [join(folder, "out"), ...files].map((path) => (statSync(path).mode & 0o777).toString(8));
    expect(modes).toEqual(["700", "600", "600"]);
  });

  test("leaves out calls without a complete answer, and says how many", async () => {
    line({ outcome: "disconnected" }, [user("a")], said("A"));
    line({ route: "embeddings" }, [], null);
    line({ final: false }, [user("a")], said("A"));
    expect((await convertLogs([folder], join(folder, "out"))).leftOut).toEqual({
      "chat/completions disconnected": 1,
      "embeddings ok": 1,
    });
  });

  test("stays in its folder, whatever clients call their sessions", async () => {
    for (const session_id of ["../../evil", "../../evil!", ".", "a/b", "ä".repeat(300)])
      line({ session_id }, [user("a")], said("A"));
    await convertLogs([folder], join(folder, "out"));
    const names = readdirSync(join(folder, "out"));
    expect(names.sort()).toEqual(["_.json", "__.._evil.json", "__.._evil_.json", "_~2.json", "a_b.json"]);
    expect(readdirSync(folder).sort()).toEqual(["log.counter.jsonl", "log.jsonl", "out"]);
  });
});
