#!/bin/sh
# Backs up the stack of docker-compose.yml, also while a night runs:
#   deploy/backup.sh FOLDER       in the folder of the clone; FOLDER belongs to APP_UID
# The folders are copied before and after the database: see docs/operations.md.
set -eu
folder="$(realpath "${1:?name the folder of the backup}")"
copy() {
    docker compose run --rm --no-deps -T --volume "$folder:/backup" worker-control backup --without-database /backup/photos
}
copy
docker compose exec -T postgres pg_dump --username returns --format custom returns >"$folder/database.part"
mv "$folder/database.part" "$folder/database.dump"
copy
