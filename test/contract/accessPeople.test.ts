import { AccessLab } from "../support/accessLab";
import type { Row } from "../support/litellmAdmin";

// Each case starts a Python a few times.
jest.setTimeout(60_000);

const lab = new AccessLab();
const up = (access: Record<string, unknown>) => lab.up(access);

describe("people", () => {
  const dana = { email: "Dana@Example.com", teams: ["research"], models: ["tiny"], budgetUsd: 5, rpm: 6 };
  const access = { teams: { research: {}, writers: {} }, users: { dana } };
  const id = "gpubox-test-dana";
  const membersOf = (team: string) =>
    ((lab.litellm.teams.get(`gpubox-test-${team}`)?.members_with_roles as Row[]) ?? []).map(
      ({ user_id }) => user_id,
    );
  /** A key that she made herself. */
  const ownKey = (name: string, team?: string) => {
    const token = name.repeat(64).slice(0, 64);
    lab.litellm.keys.set(token, {
      ...{ token, key_alias: name, metadata: {}, models: [], user_id: id },
      team_id: team ? `gpubox-test-${team}` : null,
    });
    return token;
  };

  test("are made with role, limits and teams, without a key, and then left alone", async () => {
    expect((await up(access)).said).toEqual([
      ...["made the team research", "made the team writers"],
      ...["made the person dana", "put dana into the team research"],
    ]);
    expect(lab.litellm.users.get(id)).toEqual({
      ...{ user_id: id, user_alias: "dana", user_email: "dana@example.com", user_role: "internal_user" },
      ...{ models: ["tiny", "local"], max_budget: 5, rpm_limit: 6, spend: 0 },
      metadata: { gpubox: { stack: "test" } },
    });
    expect(membersOf("research")).toEqual([id]);
    expect(await up(access)).toEqual({ code: 0, said: [], failed: "" });
    expect(lab.litellm.changes()).toEqual([]);
  });

  test("lose a limit that is no longer declared, and every gateway hears of it", async () => {
    await up(access);
    const less = { email: "dana@example.com", role: "internal_user_viewer", teams: ["writers"] };
    const { code, said } = await up({ ...access, users: { dana: less } });
    expect({ code, said }).toEqual({
      code: 0,
      said: [
        "changed the person dana (user_role, max_budget, rpm_limit, models)",
        "put dana into the team writers",
        "took dana out of the team research",
      ],
    });
    // LiteLLM broadcasts a change that comes with metadata.
    expect(lab.litellm.calls.find(({ path }) => path === "/user/update")?.body).toEqual({
      ...{ user_id: id, metadata: { gpubox: { stack: "test" } } },
      ...{ user_role: "internal_user_viewer", max_budget: null, rpm_limit: null },
      models: ["all-proxy-models"],
    });
    expect([membersOf("research"), membersOf("writers")]).toEqual([[], [id]]);
    expect((await up({ ...access, users: { dana: less } })).said).toEqual([]);
  });

  test("who leave a team lose the keys that they made there, and those expire first", async () => {
    await up(access);
    const [there, own] = [ownKey("a", "research"), ownKey("b")];
    await up({ ...access, users: { dana: { ...dana, teams: [] } } });
    expect(lab.litellm.calls.filter(({ method }) => method === "POST").map(({ body }) => body)).toEqual([
      { key: there, duration: "1s" },
      { team_id: "gpubox-test-research", user_id: id },
    ]);
    expect([...lab.litellm.keys.keys()]).toEqual([own]);
  });

  test("who are no longer declared are deleted with their keys, which expire first", async () => {
    await up(access);
    const own = ownKey("b");
    expect((await up({ teams: access.teams })).said).toEqual(["deleted the person dana"]);
    expect(lab.litellm.calls.filter(({ method }) => method === "POST").map(({ body }) => body)).toEqual([
      { key: own, duration: "1s" },
      { user_ids: [id] },
    ]);
    expect([lab.litellm.users.size, lab.litellm.keys.size, membersOf("research")]).toEqual([0, 0, []]);
  });

  test("whom others made are never touched, and one in the way is named", async () => {
    lab.litellm.users.set("by-hand", { user_id: "by-hand", user_email: "eve@example.com", metadata: {} });
    lab.litellm.users.set(id, { user_id: id, user_email: "other@example.com", metadata: null });
    const { code, failed } = await up(access);
    expect(code).toBe(1);
    expect(failed).toContain(`the person dana: ${id} exists and was not made from this config`);
    const eve = { email: "eve@example.com" };
    expect((await up({ users: { eve } })).failed).toContain(
      "made the person eve: status 400: User with email eve@example.com already exists",
    );
    await up({});
    expect([...lab.litellm.users.keys()]).toEqual(["by-hand", id]);
  });

  test("keep a team that is no longer declared while it has their keys", async () => {
    await up(access);
    ownKey("a", "research");
    const { failed } = await up({ users: { dana: { ...dana, teams: [] } } });
    expect(failed).toContain("the team research stays: keys belong to it that would be deleted too: a");
    expect(membersOf("research")).toEqual([id]);
  });
});
