#!/bin/sh
# The runner that counts all other tests: a program that crashes, hangs, reports too few cases or is not there must be a failed case,
# or a green run would mean nothing.
set -u
number=0 failures=0 limit=2
echo "1..23"

check() { # NAME COMMAND...
  name=$1
  shift
  number=$((number + 1))
  if "$@"; then
    echo "ok $number - $name"
  else
    failures=$((failures + 1))
    echo "not ok $number - $name"
    printf 'exit code %d, output:\n%s\n' "$got" "$out" | sed 's/^/# /'
  fi
}

expect() { # NAME LAST-LINE CODE PROGRAM...
  name=$1 line=$2 code=$3
  shift 3
  got=0
  out=$(unset TIDE_COUNTS && TIDE_LIMIT_S=$limit sh tests/support/run.sh --total "$@" 2>&1) || got=$?
  check "$name" test "$(printf '%s\n' "$out" | tail -n 1), exit $got" = "$line, exit $code"
}

program() { # NAME: its text from stdin
  mkdir -p "$(dirname "$TIDE_TMP/$1")"
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

# --- two lanes
export TIDE_LANES=2 HERE="$t"
limit=60
for one in meets contract/meets; do # each waits for the other, which has other ports
  program $one <<'X'
echo 1..1
other=0.2; [ "$TIDE_PORTS" = 1/2 ] || other=1.2
touch "$HERE/$(echo "$TIDE_PORTS" | tr / .)"
for i in $(seq 1000); do [ ! -e "$HERE/$other" ] || exec echo "ok 1 - a"; sleep 0.05; done
X
done
expect "a program that computes runs beside one that waits, with other ports" "2 passed, 0 failed, 0 skipped" 0 "$t/meets.sh" "$t/contract/meets.sh"
rm -f "$t"/[01].2
cp "$t/contract/meets.sh" "$t/contract/too.sh"
expect "a lane without work of its own helps the other" "2 passed, 0 failed, 0 skipped" 0 "$t/contract/meets.sh" "$t/contract/too.sh"

for one in a contract/b lonely c contract/alone d; do
  program $one <<'X'
echo 1..1; echo "begins ${0##*/}" >>"$HERE/order"; sleep 0.3; echo "ends ${0##*/}" >>"$HERE/order"; echo "ok 1 - a"
X
done
all="$t/a.sh $t/contract/b.sh $t/lonely.sh $t/c.sh $t/contract/alone.sh $t/d.sh"
printf '# NAME WHY\n%s why\n%s why\n' "$t/lonely" "$t/contract/alone" >"$t/alone.txt"
export TIDE_ALONE="$t/alone.txt"
# shellcheck disable=SC2086
expect "all of both lanes and of the list run" "6 passed, 0 failed, 0 skipped" 0 $all
check "who stands in the list runs behind all others, one by one" test "$(tail -n 4 "$t/order" | tr '\n' ' ')" = "begins lonely.sh ends lonely.sh begins alone.sh ends alone.sh "
rm -f "$t/order"
# shellcheck disable=SC2086
TIDE_LANES=1 expect "one lane runs all" "6 passed, 0 failed, 0 skipped" 0 $all
check "in the order given" test "$(sed -n 's/begins //p' "$t/order" | tr '\n' ' ')" = "a.sh b.sh lonely.sh c.sh alone.sh d.sh "

for one in says contract/says; do
  program $one <<'X'
echo 1..40; for i in $(seq 40); do echo "not ok $i - $0"; done
X
done
expect "failures of both are counted" "0 passed, 80 failed, 0 skipped" 1 "$t/says.sh" "$t/contract/says.sh"
check "and told in one piece each" test "$(printf '%s\n' "$out" | grep -o 'not ok .*' | sed 's/.* - //' | uniq -c | awk '{ print $1 }' | tr '\n' ' ')" = "40 40 "

program contract/murders <<'X'
echo 1..1; echo "ok 1 - a"; kill -KILL "$(awk '{ print $4 }' "/proc/$PPID/stat")" # the lane
X
expect "a lane that dies is a failed case" "3 passed, 1 failed, 1 skipped" 1 "$t/contract/murders.sh" "$t/good.sh" "$t/fresh.sh"

# --- a run that is ended: both lanes, what they run, and the broker of the run, here a process that is none
for one in stays contract/stays contract/never; do
  program $one <<'X'
echo $$ >"$HERE/pid.$(echo "${0%.sh}" | tr / _)"; sleep 600
X
done
ended() { # SIGNAL
  rm -rf "$t/results" "$t"/pid.*
  mkdir -p "$t/results/stack/kafka"
  python3 -c "import sys; sys.path.insert(0, 'tests/support'); import processes
one = processes.start(['sleep', '600'], '/dev/null', stay=True)
processes.save(sys.argv[1], {'port': 1, 'controller': 2, 'process': one.record})
print(one.pid)" "$t/results/stack/kafka/stack.json" >"$t/pid.broker"
  (unset TIDE_COUNTS TIDE_KAFKA_SHARED && TIDE_RESULTS=$t/results exec env --default-signal=INT sh tests/support/run.sh "$t/stays.sh" "$t/contract/stays.sh" "$t/contract/never.sh") >"$t/out" 2>&1 &
  run=$!
  for i in $(seq 1000); do [ "$(cat "$t"/pid.*stays 2>/dev/null | wc -l)" = 2 ] && break; sleep 0.05; done
  kill "-$1" $run
  wait $run
  got=$? out=$(cat "$t/out")
  [ "$got" = 130 ] || return 1
  set -- "$t"/pid.*
  [ $# = 3 ] || return 1 # the third program never began
  for pid in $(cat "$@"); do # collected, or waiting to be
    [ ! -e "/proc/$pid" ] || grep -q '^State:.Z' "/proc/$pid/status" || return 1
  done
}
check "SIGTERM ends both lanes, what they run, and the broker" ended TERM
check "so does SIGINT" ended INT
exit "$((failures > 0))"
