#!/bin/sh
# Restores what deploy/backup.sh wrote, into a stack with new volumes and an empty folder of photos:
#   deploy/restore.sh FOLDER      in the folder of the clone; then `docker compose up --detach`
set -eu
folder="$(realpath "${1:?name the folder of the backup}")"
docker compose up --detach --wait postgres
docker compose exec -T postgres pg_restore --username returns --dbname returns --exit-on-error <"$folder/database.dump"
docker compose run --rm -T migrate
docker compose run --rm --no-deps -T --volume "$folder:/backup:ro" worker-control restore --without-database /backup/photos
