#!/bin/sh
# Imports and plans every device tree of a Debian kernel package, which is fetched into a temporary folder:
#
#     xtask/planner/examples/sweep.sh linux-image-6.12-arm64.deb    # or the package that has *.dtb
#
# A package of another architecture is found with `apt-get download` and lists of its own, or on
# packages.debian.org. Blobs are not kept.
set -eu
package=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
dpkg -x "$package" "$folder"
cargo run --quiet -p planner --example sweep -- "$folder"
