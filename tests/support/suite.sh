#!/bin/sh
# The whole of `make test`: build, lint, every test, short fuzzing, sanitizers, the second compiler; then one line with the sum.
#
# Steps run in this order and each one runs even if the one before failed, so one run shows everything that is wrong. The builds of all other variants
# go on in the background, with the lowest priority, while the tests of the first one run, two programs at a time (run.sh): most of those wait for servers. A step without
# test cases of its own (a build, a fuzzer, a program under a sanitizer) counts as one case. The last line, alone, is
# "N passed, N failed, N skipped"; the exit code is 1 if a case failed or none ran.
set -u
make=${MAKE:-make}
jobs=-j$(nproc)
mkdir -p build/test
printf '*\n' >build/.gitignore
TIDE_COUNTS=$(pwd)/build/test/counts
export TIDE_COUNTS
: >"$TIDE_COUNTS"
# What the reader of the last line should know: a line each (with_kafka.py).
TIDE_NOTES=$(pwd)/build/test/notes
export TIDE_NOTES
: >"$TIDE_NOTES"
# One Kafka broker for all steps (run.sh); it runs when the first test asks for it.
TIDE_KAFKA_SHARED=$(pwd)/build/test/stack
export TIDE_KAFKA_SHARED
builds='' running=''
end() { # what runs, then the broker that it shared
  for one in $running $builds; do kill "$one" 2>/dev/null; done
  [ -z "$running" ] || wait "$running"
  [ ! -e "$TIDE_KAFKA_SHARED" ] || python3 tests/stack/stack.py stop "$TIDE_KAFKA_SHARED" >/dev/null
}
trap end EXIT
trap 'exit 130' INT TERM HUP # which do not run the line above by themselves

run() { # COMMAND...: in the background, because a shell acts on a signal only while it waits for such
  "$@" &
  running=$!
  wait "$running"
  code=$?
  running=''
  return "$code"
}

headline() {
  printf '\n== %s\n' "$1"
}

log_of() { echo "build/test/$(echo "$1" | tr ' ' '_').log"; }

ahead() { # NAME COMMAND...: as step, told by `told`
  log=$(log_of "$1")
  shift
  nice -n 19 "$@" >"$log" 2>&1 &
  ahead=$!
  if wait "$ahead"; then echo 0 >"$log.code"; else echo 1 >"$log.code"; fi
}

told() { # NAME: waits until that one is done
  log=$(log_of "$1")
  while [ ! -e "$log.code" ] && kill -0 "$builds" 2>/dev/null; do sleep 1; done
  step "$1" sh -c "cat '$log'; exit \"\$(cat '$log.code')\""
}

step() { # NAME COMMAND...: one case
  name=$1
  shift
  log=$(log_of "step $name")
  if run "$@" >"$log" 2>&1; then
    printf 'ok    %s\n' "$name"
    echo "1 0 0" >>"$TIDE_COUNTS"
  else
    printf 'FAIL  %s\n' "$name"
    tail -n 60 "$log" | sed 's/^/      /'
    echo "0 1 0" >>"$TIDE_COUNTS"
  fi
}

headline "build"
step "build with gcc" $make --no-print-directory -k $jobs CC=gcc SAN= all test-build
for name in "build with small blocks" "build the fuzzers" "build with sanitizers" "build with ThreadSanitizer" "build with clang"; do
  rm -f "$(log_of "$name").code"
done
{
  trap 'kill "$ahead" 2>/dev/null; exit 143' TERM
  ahead "build with small blocks" $make --no-print-directory -k $jobs CC=gcc SAN=small test-small-build
  ahead "build the fuzzers" $make --no-print-directory -k $jobs CC=clang SAN=fuzz fuzz-build
  ahead "build with sanitizers" $make --no-print-directory -k $jobs CC=clang SAN=address test-san-build
  ahead "build with ThreadSanitizer" $make --no-print-directory -k $jobs CC=clang SAN=thread test-threads-build
  ahead "build with clang" $make --no-print-directory -k $jobs CC=clang SAN= all test-build
} &
builds=$!
headline "lint"
run $make --no-print-directory lint-run
headline "tests"
run $make --no-print-directory -k CC=gcc SAN= test-only
headline "the oracle again, with blocks of 4 events"
told "build with small blocks"
run $make --no-print-directory CC=gcc SAN=small test-small
headline "fuzzers, a few seconds each"
told "build the fuzzers"
run $make --no-print-directory CC=clang SAN=fuzz FUZZ_SECONDS="${FUZZ_SECONDS:-3}" fuzz-run
headline "unit and contract tests under AddressSanitizer and UBSan (clang's, which also sees arithmetic on NULL)"
told "build with sanitizers"
run $make --no-print-directory CC=clang SAN=address test-san
headline "tests with threads under ThreadSanitizer"
told "build with ThreadSanitizer"
run $make --no-print-directory CC=clang SAN=thread test-threads
headline "clang"
told "build with clang"

printf '\n'
sort -u "$TIDE_NOTES"
awk '{ p += $1; f += $2; s += $3 }
  END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit (f > 0 || p == 0) }' "$TIDE_COUNTS"
