#!/bin/sh
# The tour of the README, in an empty database of your own:
#
#     TENANTRY__HOME__URL=postgres://user@localhost/empty docs/tour.sh
#
# Needs tenantry and psql on the PATH. Works in a directory that it removes again; the schemas stay in the database.
# A test runs it, and compares what it prints with the README.
set -eu
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
# Else your own settings would be in force.
export TENANTRY_CONFIG=

# Shows a command, then runs it as it was typed, with what it says on standard error.
run() {
  printf '$ %s\n' "$1"
  eval "$1" 2>&1 || printf '[exit code %s]\n' "$?"
  echo
}

run 'mkdir migrations tenant_migrations'
run 'tenantry new users --seq'
run 'cat > tenant_migrations/000001-users.up.sql << SQL
CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL
);
SQL'
run 'echo "DROP TABLE users;" > tenant_migrations/000001-users.down.sql'
run 'for name in acme blue coral; do tenantry tenant add $name; done'

run 'tenantry new "unique emails" --seq'
run 'cat > tenant_migrations/000002-unique-emails.up.sql << SQL
-- Nobody has the address of another.
CREATE UNIQUE INDEX users_email
    ON users (email);
SQL'
run 'echo "DROP INDEX users_email;" > tenant_migrations/000002-unique-emails.down.sql'
run 'tenantry plan'
run 'tenantry plan acme --scope tenant --sql'

run "psql -qc \"INSERT INTO coral.users (email) VALUES ('ann'), ('ann')\" \"\$TENANTRY__HOME__URL\""
run 'tenantry up'
run 'tenantry status'

run 'psql -qc "DELETE FROM coral.users WHERE id = 2" "$TENANTRY__HOME__URL"'
run 'tenantry up'
run 'tenantry down acme,blue --steps 1 --yes'
run 'tenantry status'
run 'tenantry up acme'
run 'tenantry tenant list'
