#!/bin/sh
# dpkg calls it with remove or upgrade, rpm with the number of versions that stay.
set -e
case "${1:-}" in
  remove|deconfigure|0) ;;
  *) exit 0 ;;
esac
[ -d "${DPKG_ROOT:-}/run/systemd/system" ] || exit 0
systemctl --no-reload disable --now sidereal.service >/dev/null 2>&1 || true
