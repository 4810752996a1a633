#!/bin/sh
# The runner that counts all other tests: a program that crashes, hangs, reports too few cases or is not there must be a failed case,
# or a green run would mean nothing.
set -u
number=0 failures=0
echo "1..12"

expect() { # NAME LAST-LINE CODE PROGRAM...
  name=$1 line=$2 code=$3
  shift 3
  number=$((number + 1))
  got=0
  out=$(unset TIDE_COUNTS && TIDE_LIMIT_S=2 sh tests/support/run.sh --total "$@" 2>&1) || got=$?
  if [ "$(printf '%s\n' "$out" | tail -n 1)" = "$line" ] && [ "$got" = "$code" ]; then
    echo "ok $number - $name"
  else
    failures=$((failures + 1))
    echo "not ok $number - $name"
    printf 'exit code %d, output:\n%s\n' "$got" "$out" | sed 's/^/# /'
  fi
}

program() { # NAME: its text from stdin
  cat >"$TIDE_TMP/$1.sh"
}

program good <<'X'
echo 1..3; echo "ok 1 - a"; echo "ok 2 - b"; echo "ok 3 - c # SKIP no such server"
X
program skips <<'X'
echo 1..2; echo "ok 1 - a"; echo "not ok 2 # SKIP as_cmocka_says_it"
X
program bad <<'X'
echo 1..2; echo "ok 1 - a"; echo "not ok 2 - b"; exit 1
X
program dies <<'X'
echo 1..2; echo "ok 1 - a"; kill -SEGV $$
X
program dies_at_the_end <<'X'
echo 1..1; echo "ok 1 - a"; exit 9
X
program short <<'X'
echo 1..3; echo "ok 1 - a"
X
program silent <<'X'
true
X
program hangs <<'X'
echo 1..2; echo "ok 1 - a"; sleep 30
X
program fresh <<'X'
if [ -d "$TIDE_TMP" ] && [ -z "$(ls -A "$TIDE_TMP")" ]; then echo "ok 1 - a"; fi; echo 1..1
X
t=$TIDE_TMP
expect "cases are counted" "2 passed, 0 failed, 1 skipped" 0 "$t/good.sh"
expect "also those that cmocka skipped" "1 passed, 0 failed, 1 skipped" 0 "$t/skips.sh"
expect "a failed case fails the run" "1 passed, 1 failed, 0 skipped" 1 "$t/bad.sh"
expect "a crash is a failed case" "1 passed, 1 failed, 0 skipped" 1 "$t/dies.sh"
expect "so is an exit code after good cases" "1 passed, 1 failed, 0 skipped" 1 "$t/dies_at_the_end.sh"
expect "so are cases that did not report" "1 passed, 1 failed, 0 skipped" 1 "$t/short.sh"
expect "so is a program without any case" "0 passed, 1 failed, 0 skipped" 1 "$t/silent.sh"
expect "so is a program over its time" "1 passed, 1 failed, 0 skipped" 1 "$t/hangs.sh"
expect "so is one that was not built" "0 passed, 1 failed, 0 skipped" 1 "$t/absent"
expect "a run without programs fails" "0 passed, 0 failed, 0 skipped" 1
expect "a program has an empty directory of its own" "1 passed, 0 failed, 0 skipped" 0 "$t/fresh.sh"
expect "all programs run and are summed" "3 passed, 1 failed, 1 skipped" 1 "$t/bad.sh" "$t/good.sh"
exit "$((failures > 0))"
