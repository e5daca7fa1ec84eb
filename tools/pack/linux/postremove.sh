#!/bin/sh
# dpkg calls it with remove, and with purge when the settings go, too; rpm with the number of versions that stay.
set -e
root=${DPKG_ROOT:-}
case "${1:-}" in
  purge|0)
    # Links of an administrator who enabled the service while systemd didn't run.
    rm -f "$root/etc/systemd/system/multi-user.target.wants/sidereal.service"
    ;;
esac
case "${1:-}" in
  purge)
    rm -rf "$root/var/lib/sidereal" "$root/var/lib/private/sidereal"
    [ ! -d "$root/etc/sidereal" ] || rmdir --ignore-fail-on-non-empty "$root/etc/sidereal"
    ;;
esac
case "${1:-}" in
  remove|purge|0) [ ! -d "$root/run/systemd/system" ] || systemctl daemon-reload >/dev/null || true ;;
esac
