#!/bin/sh
# Makes .env, jobx.env and secrets/ beside this script, with new secrets. It never replaces one that is there: without
# its master key a database cannot be read.
set -eu
umask 077
cd "$(dirname "$0")"

for made in .env jobx.env secrets; do
    if [ -e "$made" ]; then
        echo "$made is already there; nothing was changed." >&2
        exit 1
    fi
done

random() {
    head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'
}

s3_key_id=$(random | cut -c -20)
s3_key=$(random)
metrics_token=$(random)

sed -e "s|^DATABASE_ADMIN_PASSWORD=.*|&$(random)|" \
    -e "s|^DATABASE_APP_PASSWORD=.*|&$(random)|" \
    -e "s|^QDRANT_API_KEY=.*|&$(random)|" \
    -e "s|^S3_ACCESS_KEY_ID=.*|&$s3_key_id|" \
    -e "s|^S3_SECRET_ACCESS_KEY=.*|&$s3_key|" .env.example > .env

sed -e "s|^JOBX_METRICS_TOKEN=.*|&$metrics_token|" \
    -e "s|^#JOBX_S3__ACCESS_KEY_ID=.*|&$s3_key_id|" \
    -e "s|^#JOBX_S3__SECRET_ACCESS_KEY=.*|&$s3_key|" jobx.env.example > jobx.env

# Containers read these as users of their own, so the folder keeps others out and not the files.
mkdir secrets
random > secrets/master_key
random > secrets/grafana_password
printf '%s' "$metrics_token" > secrets/metrics_token
chmod 444 secrets/*

echo "Made .env, jobx.env and secrets/. Keep a copy of secrets/master_key where the database's backups are not."
