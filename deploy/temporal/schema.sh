#!/bin/sh
# Temporal's tables, at the version of these tools. Safe to repeat; a newer version brings them up to date.
set -eu
for database in temporal temporal_visibility; do
    case $database in temporal) kind=temporal ;; *) kind=visibility ;; esac
    tool() {
        temporal-sql-tool --plugin postgres12 --endpoint "$POSTGRES_SEEDS" --port 5432 --user temporal \
            --database "$database" "$@"
    }
    update() { tool update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/$kind/versioned"; }
    # Without any tables there is no version to go on from.
    update || { tool setup-schema --version 0.0 && update; }
done
