"""Alembic migrations, in two stages, so that a release can be rolled out while the one before it still runs.

Each revision states `stage = "pre"` or `stage = "post"`; the history is one line.

    pre    expands: new tables, nullable columns, indexes. The code of the release before goes on working on it, and
           the code of this release needs it. Applied before the first new process starts.
    post   contracts: drops, NOT NULL, what old code still wrote. Applied after the last old process ended, which is
           checked: every connection of the service names the newest revision that its code knows.

`jobx migrate --stage pre` applies the pending revisions up to the first post; `--stage post` those up to the first
pre; `jobx migrate` applies all. A pre that lies behind a pending post belongs to a later release than the database's
next one: that is refused before anything is changed, and the message says what comes first. An empty database has no
old code to mind, so either stage applies everything. A database that knows a revision which this code does not know
is newer: old code runs on it, and its `jobx migrate` leaves it alone.

A revision is one transaction and waits two seconds at most for a lock, because whoever waits for a lock on a table
holds up everybody behind it; then it lets go and tries again. An index on a table that has rows is made
`CONCURRENTLY` in an `op.get_context().autocommit_block()`. tests/app/migrations holds every pre to these rules.
"""
