#!/bin/sh
# Run once by the postgres image, when it makes its data folder: the role that Jobx logs in as, before the migrations
# that give it its rights. The administrator's password then stays with the migrations.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set password="$DATABASE_APP_PASSWORD" <<'SQL'
create role jobx_app login nosuperuser nocreatedb nocreaterole nobypassrls password :'password';
SQL
