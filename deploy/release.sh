#!/usr/bin/env bash
# Writes the archive that hosts fetch at start: the daemon, its unit, a configuration to begin with.
#   deploy/release.sh BINARY ARCHIVE.tar.gz
set -euo pipefail
binary=$(realpath "${1:?the built binary, such as target/dist/iyagi}")
archive=$(realpath -m "${2:?the archive to write}")
cd "$(dirname "$0")/.."

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
install -D --mode=0755 "$binary" "$root/usr/bin/iyagi"
install -D --mode=0644 deploy/systemd/iyagi.service "$root/usr/lib/systemd/system/iyagi.service"
install -D --mode=0644 config/aws.toml "$root/usr/share/iyagi/aws.toml"
install -D --mode=0644 README.md "$root/usr/share/doc/iyagi/README.md"
# The same input makes the same archive.
tar --create --gzip --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --file="$archive" --directory="$root" usr
echo "wrote $archive"
