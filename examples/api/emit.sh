#!/bin/sh
# emit.sh ROOM JSON: everyone in a room gets the event "news". API_URL and API_KEY say where the API is.
set -eu

# curl repeats the request while Redis is away (503), or if the answer doesn't come. The Idempotency-Key keeps
# it from being carried out twice.
curl --silent --show-error --fail-with-body --retry 5 --retry-connrefused --max-time 10 \
  "$API_URL/v1/emit" \
  -H "Authorization: Bearer $API_KEY" \
  -H "Content-Type: application/json" \
  -H "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)" \
  --data @- <<BODY
{"event": "news", "args": [$2], "rooms": ["$1"]}
BODY
