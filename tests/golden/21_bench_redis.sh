#!/bin/sh
# The benchmarks of the replicated commit, small, on real servers: two runs get the same answers and keep the same records, so neither they nor
# the designs that they compare can rot.
. tests/e2e/tap.sh
bench=$(dirname "$tide")/bench
exits 0 "the rivals run" "$bench/bench_redis" --quick
cp "$out" "$tmp/first"
exits 0 "and again" "$bench/bench_redis" --quick
same "with the same hashes" "$tmp/first" "$out"
check "eleven rows" test "$(wc -l < "$out")" = 11
check "the same sums, however many transactions are in a pipeline" test "$(grep '^tuned' "$out" | sed 's/.*hash//' | sort -u | wc -l)" = 1
exits 0 "the engine runs under many callers" "$bench/bench_engine" --quick
check "on every journal" test "$(cut -c1-7 "$out" | sort -u | wc -l)" = 3
check "and counts every transaction once" test "$(grep -c -e ' [ 0-9]* callers  200 counted' -e '\(256\|10000\) callers  2000 counted' "$out")" = 12
check "their servers are gone and their files with them" test -z "$(ls "$tmp" | grep -e '^redis-' -e '^bench-')"
done_testing
