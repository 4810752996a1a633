#!/bin/sh
# Installs what is missing of the package list ($1, lines of PACKAGE REASON), or says how.
#
# As root on Debian it installs with apt-get; without root it prints the one command and stops with 1, so that nothing is half done
# behind anybody's back. On another system it names the packages, because their equivalents have other names there.
set -eu
list=$1
missing=""
have_dpkg=no
if command -v dpkg-query >/dev/null 2>&1; then
  have_dpkg=yes
fi
if [ "$have_dpkg" = no ]; then
  if [ -e build/.deps-by-hand ]; then
    exit 0
  fi
  echo "This machine has no dpkg: Tidemark is built on Debian 12. Install the equivalents of these by hand, then \`touch build/.deps-by-hand\`:" >&2
  grep -v '^#' "$list" | sed 's/^/  /' >&2
  exit 1
fi
installed=$(dpkg-query -W -f '${Status} ${Package}\n' 2>/dev/null | sed -n 's/^install ok installed //p')
while read -r package reason; do
  case $package in '' | '#'*) continue ;; esac
  if ! printf '%s\n' "$installed" | grep -qxF "$package"; then
    if [ -z "$missing" ]; then
      echo "Missing packages:"
    fi
    printf '  %-20s %s\n' "$package" "$reason"
    missing="$missing $package"
  fi
done <"$list"
if [ -z "$missing" ]; then
  exit 0
fi
if [ "$(id -u)" != 0 ]; then
  echo "Not root, so nothing was installed. Run this, then try again:" >&2
  echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
  exit 1
fi
echo "Installing them with apt-get."
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of words
{
  apt-get update -q && apt-get install -y -q --no-install-recommends $missing
} >&2 || {
  echo "apt-get failed: is this Debian 12 with a working network? The command was: apt-get install$missing" >&2
  exit 1
}
