#!/bin/sh
# The benchmark of the replicated commit, small, on real servers: two runs get the same answers and keep the same records, so neither it nor
# the designs that it compares can rot.
. tests/e2e/tap.sh
bench=$(dirname "$tide")/bench/bench_redis
exits 0 "the benchmark runs" "$bench" --quick
cp "$out" "$tmp/first"
exits 0 "and again" "$bench" --quick
same "with the same hashes" "$tmp/first" "$out"
check "eleven rows" test "$(wc -l < "$out")" = 11
check "the same sums, however many transactions are in a pipeline" test "$(grep '^tuned' "$out" | sed 's/.*hash//' | sort -u | wc -l)" = 1
check "its servers are gone and their files with them" test -z "$(ls "$tmp" | grep '^redis-')"
done_testing
