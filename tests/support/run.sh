#!/bin/sh
# Runs test programs one after the other and counts their cases.
#
#   run.sh [--total] [--whole] [--fuzz] [--show] PROGRAM...
#
# A program is a cmocka binary, a .sh or a .py; all speak TAP (https://testanything.org). Its output goes to build/test/NAME.log and is shown
# when it fails. It gets TIDE_TMP, a directory of its own. A program that dies, runs over the time limit or reports fewer cases than
# it planned adds one failed case, so nothing can vanish. --whole counts a program as one case; --fuzz does and passes libFuzzer's options;
# --show prints the output anyway; --total ends with the line "N passed, N failed, N skipped" and fails if a case failed or none ran.
# With TIDE_COUNTS=FILE the numbers of each program are appended there ("passed failed skipped").
# Programs that need a Kafka broker share one (with_kafka.py starts it for the first of them in TIDE_KAFKA_SHARED); it ends with this run unless the caller has set the variable.
set -u
total=no whole=no fuzz=no show=no
while [ $# -gt 0 ]; do
  case $1 in
  --total) total=yes ;;
  --whole) whole=yes ;;
  --fuzz) fuzz=yes whole=yes ;;
  --show) show=yes ;;
  *) break ;;
  esac
  shift
done
root=$(pwd)
results=$root/build/test
limit=${TIDE_LIMIT_S:-1200}
passed=0 failed=0 skipped=0
export CMOCKA_MESSAGE_OUTPUT=TAP
export ASAN_OPTIONS="${ASAN_OPTIONS:-abort_on_error=0:detect_leaks=1:allocator_may_return_null=0}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"

if [ -z "${TIDE_KAFKA_SHARED:-}" ]; then
  TIDE_KAFKA_SHARED=$results/stack
  export TIDE_KAFKA_SHARED
  trap '[ ! -e "$TIDE_KAFKA_SHARED" ] || python3 tests/stack/stack.py stop "$TIDE_KAFKA_SHARED" >/dev/null' EXIT
  trap 'exit 130' INT TERM # which do not run the line above by themselves
fi

run_one() { # PROGRAM LOG: its exit code
  case $1 in
  *.sh) timeout "$limit" bash "$1" ;;
  *.py) timeout "$limit" python3 "$1" ;;
  *)
    if [ "$fuzz" = yes ]; then
      topic=$(basename "$1" | sed 's/^fuzz_//')
      mkdir -p "$results/fuzz/$topic" "tests/fuzz/corpus/$topic"
      timeout "$limit" "$1" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$results/fuzz/$topic-" "$results/fuzz/$topic" "tests/fuzz/corpus/$topic"
    else
      timeout "$limit" "$1"
    fi
    ;;
  esac >"$2" 2>&1 </dev/null
}

for program in "$@"; do
  name=$(echo "$program" | sed 's,^build/variant/,,; s,^build/,,; s,tests/,,; s,\.[a-z]*$,,')
  log=$results/$name.log
  TIDE_TMP=$results/tmp/$name
  export TIDE_TMP
  rm -rf "$TIDE_TMP"
  mkdir -p "$TIDE_TMP" "$(dirname "$log")"
  code=0 begun=$(date +%s)
  if [ -e "$program" ]; then
    run_one "$program" "$log" || code=$?
  else
    echo "$program was not built" >"$log"
    code=127
  fi
  # Cases: "ok N - x", "not ok N - x", "ok N # SKIP why"; the plan "1..N" may come before or after.
  eval "$(tr -d '\000' <"$log" | awk '
    /^ok / { if (toupper($0) ~ /# *SKIP/) s++; else p++ }
    /^not ok [0-9]+ # SKIP / { s++; next } # what cmocka 1.1 prints for skip()
    /^not ok / { f++ }
    /^1\.\.[0-9]+/ { split($1, a, "[.][.]"); plan += a[2] }
    END { printf "p=%d f=%d s=%d plan=%d", p, f, s, plan }')"
  note="" took=$(($(date +%s) - begun))
  if [ "$whole" = yes ]; then
    if [ "$code" = 0 ]; then p=1 f=0 s=0; else p=0 f=1 s=0; fi
  elif [ $((p + f + s)) -lt "$plan" ]; then
    note=" ($((plan - p - f - s)) of $plan planned cases did not report)"
    f=$((f + 1))
  elif [ $((p + f + s)) = 0 ] || { [ "$code" != 0 ] && [ "$f" = 0 ]; }; then
    f=$((f + 1))
  fi
  if [ "$code" = 124 ]; then note="$note (stopped after $limit s)"; fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  if [ -n "${TIDE_COUNTS:-}" ]; then echo "$p $f $s" >>"$TIDE_COUNTS"; fi
  if [ "$f" = 0 ]; then
    printf 'ok    %-44s %4d passed%s%s\n' "$name" "$p" "$([ "$s" = 0 ] || echo ", $s skipped")" "$([ "$took" -lt 5 ] || echo ", $took s")"
    rm -rf "$TIDE_TMP"
    if [ "$show" = yes ]; then sed 's/^/      /' "$log"; fi
  else
    printf 'FAIL  %-44s %4d passed, %d failed, exit code %d%s\n' "$name" "$p" "$f" "$code" "$note"
    grep -av '^ok ' "$log" | tail -n 80 | cut -c1-400 | sed 's/^/      /'
    echo "      (all of it: build/test/$name.log)"
  fi
done
if [ "$total" = yes ]; then
  echo "$passed passed, $failed failed, $skipped skipped"
fi
if [ "$failed" != 0 ]; then exit 1; fi
if [ "$total" = yes ] && [ "$passed" = 0 ]; then exit 1; fi
exit 0
