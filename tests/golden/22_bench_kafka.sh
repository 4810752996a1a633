#!/bin/sh
# The benchmark of the Kafka adapters, small, on a real broker: two runs read the same messages, so that neither it nor the adapters rot. Without a broker it says why and ends well.
. tests/e2e/tap.sh
bench=$(dirname "$tide")/bench
exits 0 "letters leave and come back" "$bench/bench_kafka" --quick
if grep -q '^no Kafka broker' "$out"; then
  if [ "${CI:-}" = true ]; then
    check "CI has a real broker" false
  else
    count=$((count + 1))
    echo "ok $count - the same hashes # SKIP $(cat "$out")"
  fi
  done_testing
  exit
fi
cp "$out" "$tmp/first"
exits 0 "and again" "$bench/bench_kafka" --quick
same "with the same hashes" "$tmp/first" "$out"
check "three rows" test "$(wc -l < "$out")" = 3
done_testing
