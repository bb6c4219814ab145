#!/usr/bin/env python3
"""Wait until the database has the schema of this gateway's image. Runs before each gateway of a cluster.

The migration is a Job beside it. Exits with 0 once every migration that the image knows is done; else it says what it waits for.
"""
import os
import sys
import time

import migrate

SECONDS = int(os.environ.get("GPUBOX_SECONDS", "1800"))
PAUSE_SECONDS = 3


def missing():
    """What is still to be done, in words; None once nothing is."""
    known = {path.parent.name for path in migrate.MIGRATIONS.glob("*/migration.sql")}
    try:
        with migrate.connect(os.environ["DATABASE_URL"]) as connection:
            rows = migrate.rows_of_ledger(connection)
    except migrate.psycopg.Error as error:
        return " ".join(str(error).split())
    left = known - {name for name, _, finished, _ in rows if finished}
    return f"{len(left)} migrations are not done" if left else None


def main():
    if not migrate.psycopg or not migrate.MIGRATIONS:
        print("this image cannot look at the schema, so the gateway starts without a look")
        return
    end = time.monotonic() + SECONDS
    said = None
    while (words := missing()) is not None:
        if words != said:
            print(f"waits for the migration: {words}", flush=True)
            said = words
        if time.monotonic() > end:
            sys.exit(f"The database has not got its schema within {SECONDS} s: {words}. The Job `migrate-…` says why.")
        time.sleep(PAUSE_SECONDS)
    print("the database has the schema")


if __name__ == "__main__":
    main()
