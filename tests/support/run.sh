#!/bin/sh
# Runs test programs, two at a time, and counts their cases.
#
#   run.sh [--total] [--whole] [--fuzz] [--show] PROGRAM...
#
# A program is a cmocka binary, a .sh or a .py; all speak TAP (https://testanything.org). Its output goes to build/test/NAME.log and is shown
# when it fails. It gets TIDE_TMP, a directory of its own. A program that dies, runs over the time limit or reports fewer cases than
# it planned adds one failed case, so nothing can vanish. --whole counts a program as one case; --fuzz does and passes libFuzzer's options;
# --show prints the output anyway; --total ends with the line "N passed, N failed, N skipped" and fails if a case failed or none ran.
# With TIDE_COUNTS=FILE the numbers of each program are appended there ("passed failed skipped").
# Programs that need a Kafka broker share one (with_kafka.py starts it for the first of them in TIDE_KAFKA_SHARED); it ends with this run unless the caller has set the variable.
#
# There are two lanes. One begins with the programs that compute (unit, golden, oracle, sim: they are given the lower priority), the other with those that wait for servers (contract, chaos, e2e);
# a lane without more of its own helps the other. What is said of a program is printed at once when it has ended. Programs of tests/support/alone.txt run behind all others, one by one.
# Each lane picks ports of its own (TIDE_PORTS, processes.py). TIDE_LANES=1 runs everything one by one, in the order given; so does a machine with one processor.
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
results=${TIDE_RESULTS:-$root/build/test}
limit=${TIDE_LIMIT_S:-1200}
lanes=${TIDE_LANES:-$([ "$(nproc)" -ge 2 ] && echo 2 || echo 1)}
alone=${TIDE_ALONE:-tests/support/alone.txt}
export CMOCKA_MESSAGE_OUTPUT=TAP
export ASAN_OPTIONS="${ASAN_OPTIONS:-abort_on_error=0:detect_leaks=1:allocator_may_return_null=0}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"

# What this run has to do and has done: a file for each program that waits for its turn, in a folder for each list; the lines of counts.
work=$results/run.$$
mkdir -p "$work/computes" "$work/waits" "$work/alone"
: >"$work/counts"
own_broker=
if [ -z "${TIDE_KAFKA_SHARED:-}" ]; then
  own_broker=$results/stack
  TIDE_KAFKA_SHARED=$own_broker
  export TIDE_KAFKA_SHARED
fi
first='' second=''
end() { # both lanes and what they run, then the broker that they shared
  for lane in $first $second; do kill "$lane" 2>/dev/null; done
  wait
  if [ -e "$own_broker" ]; then python3 tests/stack/stack.py stop "$own_broker" >/dev/null; fi
  rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT TERM HUP # which do not run the line above by themselves

name_of() { echo "$1" | sed 's,^build/variant/,,; s,^build/,,; s,tests/,,; s,\.[a-z]*$,,'; }

list_of() { # PROGRAM: the list that it stands in
  if [ -r "$alone" ] && grep -q "^$(name_of "$1" | sed 's,^[a-z]*-[a-z]*/,,') " "$alone"; then
    echo alone
    return
  fi
  case $1 in
  */contract/* | */chaos/* | */e2e/*) echo waits ;;
  *) echo computes ;;
  esac
}

take() { # LIST...: sets `program` to the next of the first list that has one. Whoever moves the file has it.
  for list in "$@"; do
    for ticket in "$work/$list"/*; do
      if mv "$ticket" "$work/ticket.$lane" 2>/dev/null; then
        read -r program <"$work/ticket.$lane"
        return 0
      fi
    done
  done
  return 1
}

run_one() { # PROGRAM LOG LIST: its exit code. In the background, because a shell acts on a signal only while it waits for such.
  set -- "$1" "$2" "$([ "$3" = computes ] && [ "$lanes" != 1 ] && echo 10 || echo 0)"
  case $1 in
  *.sh) nice -n "$3" timeout -k 20 "$limit" bash "$1" >"$2" 2>&1 </dev/null & ;;
  *.py) nice -n "$3" timeout -k 20 "$limit" python3 "$1" >"$2" 2>&1 </dev/null & ;;
  *)
    if [ "$fuzz" = yes ]; then
      topic=$(basename "$1" | sed 's/^fuzz_//')
      mkdir -p "$results/fuzz/$topic" "tests/fuzz/corpus/$topic"
      timeout -k 20 "$limit" "$1" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$results/fuzz/$topic-" "$results/fuzz/$topic" "tests/fuzz/corpus/$topic" >"$2" 2>&1 </dev/null &
    else
      nice -n "$3" timeout -k 20 "$limit" "$1" >"$2" 2>&1 </dev/null &
    fi
    ;;
  esac
  child=$!
  wait "$child"
  code=$?
  child=
  return "$code"
}

one() { # PROGRAM LIST: runs it and counts; what is to be said goes to stdout
  name=$(name_of "$1")
  log=$results/$name.log
  TIDE_TMP=$results/tmp/$name
  export TIDE_TMP
  rm -rf "$TIDE_TMP"
  mkdir -p "$TIDE_TMP" "$(dirname "$log")"
  code=0 begun=$(date +%s)
  if [ -e "$1" ]; then
    run_one "$1" "$log" "$2" || code=$?
  else
    echo "$1 was not built" >"$log"
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
  if [ "$code" = 137 ]; then note="$note (killed)"; fi
  echo "$p $f $s" >>"$work/counts"
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
}

# NUMBER LIST...: runs programs of these lists until there are no more, or nobody waits for it any more.
lane() {
  lane=$1 child=''
  shift
  trap '[ -z "$child" ] || { kill "$child" 2>/dev/null; wait "$child"; }; exit 143' TERM
  if [ "$lanes" != 1 ]; then
    TIDE_PORTS=$lane/$lanes
    export TIDE_PORTS
  fi
  while kill -0 $$ 2>/dev/null && take "$@"; do
    one "$program" "$list" >"$work/said.$lane"
    flock "$work" cat "$work/said.$lane"
  done
}

count=10000
for program in "$@"; do
  count=$((count + 1))
  echo "$program" >"$work/$([ "$lanes" = 1 ] && echo waits || list_of "$program")/$count"
done
if [ "$lanes" != 1 ]; then
  lane 0 waits computes &
  first=$!
  lane 1 computes waits &
  second=$!
  wait "$first" "$second"
  lanes=1
fi
lane 0 waits alone &
first=$!
wait "$first"
first='' second=''

eval "$(awk '{ p += $1; f += $2; s += $3 } END { printf "passed=%d failed=%d skipped=%d ran=%d", p, f, s, NR }' "$work/counts")"
if [ "$ran" != "$#" ]; then # a lane that ended early must not make a run green
  echo "FAIL  $(($# - ran)) of $# programs were not counted"
  failed=$((failed + 1))
  if [ -n "${TIDE_COUNTS:-}" ]; then echo "0 1 0" >>"$TIDE_COUNTS"; fi
fi
if [ "$total" = yes ]; then
  echo "$passed passed, $failed failed, $skipped skipped"
fi
if [ "$failed" != 0 ]; then exit 1; fi
if [ "$total" = yes ] && [ "$passed" = 0 ]; then exit 1; fi
exit 0
