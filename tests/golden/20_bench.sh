#!/bin/sh
# The fold's benchmark, small: two runs print the same hashes of all decisions and of the state, so neither the benchmark nor the determinism it stands on can rot.
. tests/e2e/tap.sh
bench=$(dirname "$tide")/bench/bench_fold
exits 0 "the benchmark runs" "$bench" --quick
cp "$out" "$tmp/first"
exits 0 "and again" "$bench" --quick
same "with the same hashes" "$tmp/first" "$out"
check "fifteen rows" test "$(wc -l < "$out")" = 15
done_testing
