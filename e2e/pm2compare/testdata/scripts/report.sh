#!/bin/bash
# Reports how it was started, says a line on each stream, and stays.
echo hello
echo trouble >&2
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$here/reports"
{
  printf '{"args":"%s","cwd":"%s","shell":"%s","stage":"%s"}' "$*" "$PWD" "${BASH_VERSION:+bash}" "$STAGE"
} >"$here/reports/$$.new"
mv "$here/reports/$$.new" "$here/reports/$$"
trap 'exit 0' TERM INT
while :; do sleep 1000 & wait; done
