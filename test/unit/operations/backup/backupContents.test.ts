import fc from "fast-check";
import { foreignEntries } from "../../../../operations/backup/contents";
import { checkSnapshot } from "../../../../operations/backup/snapshot";

const LIST = `;
; Archive created at 2026-11-28 22:00:00 UTC
;     Format: CUSTOM
;
215; 1259 16389 TABLE public LiteLLM_TeamTable litellm
216; 1259 16390 TABLE public A name of words litellm
914; 1247 16500 TYPE public JobStatus litellm
217; 1259 16395 VIEW public MonthlyGlobalSpend litellm
218; 1259 16400 SEQUENCE public t_n_seq litellm
3500; 0 0 SEQUENCE OWNED BY public t_n_seq litellm
3501; 0 0 SEQUENCE SET public t_n_seq litellm
3300; 2604 16401 DEFAULT public t n litellm
3400; 0 16389 TABLE DATA public LiteLLM_TeamTable litellm
3310; 2606 16410 CONSTRAINT public t t_pkey litellm
3311; 2606 16411 FK CONSTRAINT public t t_fkey litellm
3312; 2606 16412 CHECK CONSTRAINT public t positive litellm
3313; 1259 16413 INDEX public t_n_idx litellm
300; 1255 17000 FUNCTION public litellm_bump_mcp_catalog_revision() litellm
3314; 2620 17001 TRIGGER public LiteLLM_MCPServerTable litellm_mcp_catalog_revision litellm
5; 2615 2200 SCHEMA - public pg_database_owner
3515; 0 0 COMMENT - SCHEMA public pg_database_owner
3516; 0 0 ACL - SCHEMA public postgres
3517; 0 0 COMMENT public COLUMN t.n litellm
3518; 0 0 ACL public TABLE t litellm
`;

test("LiteLLM's own kinds of entries are taken", () => {
  expect(foreignEntries(LIST)).toEqual([]);
});

/** Every other kind that pg_dump 17 can write. */
const OTHERS =
  "ACCESS METHOD|AGGREGATE|BLOB|BLOBS|BLOB COMMENTS|BLOB METADATA|CAST|COLLATION|CONVERSION|DATABASE|DATABASE PROPERTIES|DEFAULT ACL|DOMAIN|EVENT TRIGGER|EXTENSION|FOREIGN DATA WRAPPER|FOREIGN SERVER|FOREIGN TABLE|FUNCTION|INDEX ATTACH|LARGE OBJECT|MATERIALIZED VIEW|MATERIALIZED VIEW DATA|OPERATOR|OPERATOR CLASS|OPERATOR FAMILY|POLICY|PROCEDURAL LANGUAGE|PROCEDURE|PUBLICATION|PUBLICATION TABLE|PUBLICATION TABLES IN SCHEMA|ROW SECURITY|RULE|SECURITY LABEL|SERVER|SHELL TYPE|STATISTICS|STATISTICS DATA|SUBSCRIPTION|SUBSCRIPTION TABLE|TABLE ATTACH|TABLESPACE|TEXT SEARCH CONFIGURATION|TEXT SEARCH DICTIONARY|TEXT SEARCH PARSER|TEXT SEARCH TEMPLATE|TRANSFORM|TRIGGER|USER MAPPING|SOMETHING NEW";

test.each(OTHERS.split("|"))("an entry %s is named", (kind) => {
  const entries = [`${kind} public x litellm`, `${kind} - x litellm`];
  for (const entry of entries) expect(foreignEntries(`${LIST}9; 1 2 ${entry}\n`)).toEqual([entry]);
});

test.each([
  "TABLE other t litellm",
  "TABLE DATA pg_catalog pg_authid postgres",
  "SCHEMA - other litellm",
  "FUNCTION public litellm_bump_mcp_catalog_revision(integer) litellm",
  "FUNCTION other litellm_bump_mcp_catalog_revision() litellm",
  "TRIGGER public LiteLLM_TeamTable litellm_mcp_catalog_revision litellm",
])("%s is named, although its kind is known", (entry) => {
  expect(foreignEntries(`9; 1 2 ${entry}\n`)).toEqual([entry]);
});

test("a line that is not an entry is reported instead of skipped", () => {
  const line = fc.stringMatching(/^[^;\n\s][^\n]*$/).filter((text) => !/^\d+; \d+ \d+ /.test(text));
  fc.assert(fc.property(line, (text) => expect(foreignEntries(text)).toEqual([text])));
});

describe("a restic snapshot", () => {
  const node = (type: string, path: string, size?: number) => ({ type, path, size, struct_type: "node" });
  const listing = (...nodes: object[]) =>
    [{ struct_type: "snapshot" }, ...nodes].map((one) => JSON.stringify(one)).join("\n");
  const whole = [
    node("dir", "/srv"),
    node("dir", "/srv/dev-1"),
    node("file", "/srv/dev-1/database.dump", 500),
    node("file", "/srv/dev-1/manifest.json", 20),
    node("file", "/srv/dev-1/manifest.sig", 65),
    node("file", "/srv/dev-1/stack.yaml", 7),
  ];

  test("of one backup is accepted, and its size reported", () => {
    expect(checkSnapshot("abc", listing(...whole))).toBe(592);
  });

  test.each([
    node("symlink", "/srv/dev-1/gateway-config.yaml"),
    node("fifo", "/srv/dev-1/gateway-config.yaml"),
    node("dev", "/srv/dev-1/gateway-config.yaml"),
    node("chardev", "/srv/dev-1/stack.yaml"),
    node("file", "/srv/dev-1/authorized_keys", 1),
    node("file", "/srv/manifest.json", 1),
    node("file", "/srv/dev-2/database.dump", 1),
    node("file", "/srv/dev-1/../stack.yaml", 1),
    node("file", "srv/dev-1/stack.yaml", 1),
    node("dir", "/srv/dev-1/below"),
    node("dir", "/etc"),
    node("dir", "/sr"),
  ])("with $type $path is refused", (stranger) => {
    expect(() => checkSnapshot("abc", listing(...whole, stranger))).toThrow(
      `The snapshot abc contains what no backup has: ${JSON.stringify(stranger.path)}`,
    );
  });
});
