#!/bin/sh
# dpkg calls it with configure and the old version, rpm with the number of versions that are then installed.
set -e
[ -d "${DPKG_ROOT:-}/run/systemd/system" ] || exit 0
systemctl daemon-reload >/dev/null || true
case "${1:-}" in
  configure) upgraded=${2:-} ;;
  ''|1|*[!0-9]*) upgraded='' ;;
  *) upgraded=$1 ;;
esac
# The package enables and starts nothing. A service that runs gets the new version.
[ -z "$upgraded" ] || systemctl --no-block try-restart sidereal.service >/dev/null || true
