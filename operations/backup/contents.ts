import { UserError } from "../../platform/process";

/** Kinds of dump entries in LiteLLM's schema. Where one name begins another, the longer one comes first. */
const KINDS = [
  "TABLE DATA",
  "TABLE",
  "SEQUENCE OWNED BY",
  "SEQUENCE SET",
  "SEQUENCE",
  "INDEX",
  "FK CONSTRAINT",
  "CHECK CONSTRAINT",
  "CONSTRAINT",
  "DEFAULT",
  "TYPE",
  "VIEW",
] as const;

/** What else LiteLLM's migrations create: its only function, and the trigger that calls it. */
const LITELLM_OWN = [
  "FUNCTION public litellm_bump_mcp_catalog_revision()",
  "TRIGGER public LiteLLM_MCPServerTable litellm_mcp_catalog_revision",
];

/** SHA-256 of the function's quoted body. */
const LITELLM_FUNCTION = "42d3bda72057f58e8b4c2c67f60bfbe958edbbbdacb18ae821edd8abf0e95a55";

const LITELLM_TRIGGER =
  'CREATE TRIGGER litellm_mcp_catalog_revision AFTER INSERT OR DELETE OR UPDATE ON public."LiteLLM_MCPServerTable" ' +
  "FOR EACH STATEMENT EXECUTE FUNCTION public.litellm_bump_mcp_catalog_revision()";

/** The schema exists already, comments change nothing, and rights are not restored. */
const AROUND = /^((SCHEMA|COMMENT|ACL) - (SCHEMA )?public|(COMMENT|ACL) public [A-Z].*) \S+$/;

/**
 * Entries of a `pg_restore --list` that LiteLLM's schema does not have, as `KIND schema name`. Every unknown entry
 * counts, because a new kind may run code.
 */
export function foreignEntries(list: string): string[] {
  return list
    .split("\n")
    .filter((line) => line.trim() && !line.startsWith(";"))
    .map((line) => /^\d+; \d+ \d+ (.*)$/.exec(line)?.[1] ?? line)
    .filter((entry) => !isOfLitellm(entry));
}

function isOfLitellm(entry: string): boolean {
  if (KINDS.some((kind) => entry.startsWith(`${kind} public `))) return true;
  return AROUND.test(entry) || LITELLM_OWN.some((own) => entry.startsWith(`${own} `));
}

/** @throws UserError that names the first of them */
export function refuseForeign(found: string[], what: string): void {
  if (found.length === 0) return;
  const [first = ""] = found;
  const more = found.length > 1 ? ` and ${found.length - 1} more` : "";
  throw new UserError(
    `${what} contains what LiteLLM's schema does not have: ${JSON.stringify(first.slice(0, 200))}${more}.`,
    "A restore brings back tables, sequences, indexes, views and enums of the schema public, and nothing that runs by itself.",
  );
}

/**
 * Statements for the superuser that name objects of unknown kinds in a database. A dump's list says what its maker
 * wrote into it; this says what the restore created. They use only `pg_catalog`, because a name in the database itself
 * could run code. Ids below 16384 exist in every database, but the maker of a large object chooses its number.
 */
export const FOREIGN_OBJECTS = `SET search_path = pg_catalog, pg_temp;
WITH extension AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
routine AS (SELECT p.oid FROM pg_proc p JOIN pg_language l ON l.oid = prolang
  WHERE NOT (pronamespace = 'public'::regnamespace AND proname = 'litellm_bump_mcp_catalog_revision' AND lanname = 'plpgsql'
    AND prokind = 'f' AND NOT prosecdef AND proconfig IS NULL AND pronargs = 0 AND prorettype = 'trigger'::regtype
    AND sha256(convert_to(prosrc, 'UTF8')) = decode('${LITELLM_FUNCTION}', 'hex'))),
object (classid, objid) AS (
  SELECT 'pg_proc'::regclass, oid FROM routine
  UNION ALL SELECT 'pg_class'::regclass, oid FROM pg_class WHERE relkind NOT IN ('r', 'i', 'S', 'v', 't', 'c')
    OR relhasrules AND relkind <> 'v' OR relrowsecurity OR relforcerowsecurity OR relpersistence = 't'
  UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typtype NOT IN ('e', 'c', 'b')
    OR typtype = 'b' AND typelem = 0
  UNION ALL SELECT 'pg_rewrite'::regclass, oid FROM pg_rewrite WHERE rulename <> '_RETURN'
  UNION ALL SELECT 'pg_trigger'::regclass, oid FROM pg_trigger
    WHERE NOT tgisinternal AND pg_get_triggerdef(oid) <> $$${LITELLM_TRIGGER}$$
  UNION ALL SELECT 'pg_namespace'::regclass, oid FROM pg_namespace WHERE nspname <> 'public' AND nspname !~ '^pg_(temp|toast)'
${[
  ...[
    "cast",
    "operator",
    "opclass",
    "opfamily",
    "am",
    "language",
    "collation",
    "conversion",
    "event_trigger",
    "extension",
  ],
  ...[
    "policy",
    "default_acl",
    "publication",
    "foreign_data_wrapper",
    "foreign_server",
    "statistic_ext",
    "transform",
  ],
  ...["ts_config", "ts_dict", "ts_parser", "ts_template"],
]
  .map((of) => `  UNION ALL SELECT 'pg_${of}'::regclass, oid FROM pg_${of}`)
  .join("\n")}
  UNION ALL SELECT 'pg_largeobject'::regclass, oid FROM pg_largeobject_metadata
)
SELECT translate(i.type || ' ' || i.identity, E'\\n\\t', '  ') FROM object o, pg_identify_object(o.classid, o.objid, 0) i
WHERE (o.objid >= 16384 OR o.classid = 'pg_largeobject'::regclass) AND NOT EXISTS (SELECT FROM extension e WHERE e.classid = o.classid AND e.objid = o.objid) ORDER BY 1;
`;
