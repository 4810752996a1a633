#!/bin/sh
# clang-format with config/clang-format over all .c files: format.sh --apply changes them, format.sh --list names the ones that differ.
#
# Headers are left out: they are tables and drawings, laid out by hand.
set -eu
tool=
for name in clang-format-14 clang-format; do
  if command -v "$name" >/dev/null 2>&1; then
    tool=$name
    break
  fi
done
if [ -z "$tool" ]; then
  echo "clang-format is not installed: run make deps" >&2
  exit 1
fi
files=$(find engine feature model config tests bench -name '*.c' 2>/dev/null | sort)
if [ "${1:-}" = --apply ]; then
  # shellcheck disable=SC2086 # a list of words; no name has a space
  "$tool" --style=file:config/clang-format -i $files
else
  # shellcheck disable=SC2016 # $0 and $file are the inner shell's
  echo "$files" | xargs -P "$(nproc)" -n 20 sh -c \
    'for file; do "$0" --style=file:config/clang-format "$file" | cmp -s - "$file" || echo "$file"; done' "$tool" | sort
fi
