#!/bin/sh
# Starts a run of an applied export through the gateway, with a request that is signed by the
# Standard Webhooks specification (docs/triggers.md). It prints the run. Started again with
# the same ID, it prints the same run. If the gateway refuses, it prints why and exits with 22.
#
#   GATEWAY=https://exports.example.com SECRET_FILE=/run/secrets/export \
#       start.sh "Spring campaign" "nightly-$(date +%F)"
set -eu
path=$(printf %s "$1" | sed 's/%/%25/g; s/ /%20/g; s/?/%3F/g; s/#/%23/g')
id=$2
time=$(date +%s)
body="{\"export\": \"$(printf %s "$1" | sed 's/["\\]/\\&/g')\"}"
key=$(sed 's/^whsec_//' "$SECRET_FILE" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
signature=$(printf '%s.%s.%s' "$id" "$time" "$body" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)
curl --silent --show-error --fail-with-body --request POST "$GATEWAY/v1/exports/$path/runs" \
    --header "Content-Type: application/json" --header "webhook-id: $id" --header "webhook-timestamp: $time" \
    --header "webhook-signature: v1,$signature" --data "$body"
