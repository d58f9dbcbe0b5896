#!/bin/sh
# A role and a database of its own for each X_DB_PASSWORD in the environment, named x. Safe to repeat, also with new
# passwords. Temporal has a second database. Nobody else can connect to any of them.
set -eu
for variable in $(env | sed -n 's/^\([A-Z]*\)_DB_PASSWORD=.*/\1_DB_PASSWORD/p' | sort); do
    name=$(echo "${variable%_DB_PASSWORD}" | tr '[:upper:]' '[:lower:]')
    databases=$name
    [ "$name" != temporal ] || databases="temporal temporal_visibility"
    psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --set name="$name" --set variable="$variable" <<'SQL'
\getenv password :variable
SELECT format('CREATE ROLE %I LOGIN', :'name') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
ALTER ROLE :"name" PASSWORD :'password';
SQL
    for database in $databases; do
        psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --set name="$name" --set database="$database" <<'SQL'
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'name')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SQL
    done
    echo "postgres-setup: $name: $databases"
done
