#!/bin/sh
# Every .c file is as clang-format would write it (config/clang-format); one TAP case.
# What differs is named; make fmt corrects it.
set -u
echo "1..1"
if ! different=$(sh tests/lint/format.sh --list); then
  echo "not ok 1 - clang-format ran"
  exit 1
fi
if [ -n "$different" ]; then
  echo "not ok 1 - the format is config/clang-format"
  for file in $different; do
    echo "# $file:1: not formatted: run make fmt"
  done
  exit 1
fi
echo "ok 1 - the format is config/clang-format"
