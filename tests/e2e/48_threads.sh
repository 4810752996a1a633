# A back-fill on four threads, sorted through files, and its snapshot: small enough to run under ThreadSanitizer, where any report ends it with 66.
. tests/e2e/tap.sh

"$tide" generate --seed 8 --transactions 1500 --format csv --out-of-order 3 --output "$tmp/log.csv" 2>/dev/null
fill() { # THREADS
  exits 0 "back-fill on $1 threads" "$tide" backfill --threads "$1" --features "$features" --dev-key --log-level error --strict --input-shape history \
    --memory-mib 1 --input "$tmp/log.csv" --output "$tmp/snap.$1"
}
whole() { (cd "$1" && find . -type f | sort | xargs cat | cksum); }
fill 1
fill 4
check "there is a snapshot" test "$(find "$tmp/snap.1" -name '*.zst' | wc -l)" = 65
check "of the same bytes" test "$(whole "$tmp/snap.1")" = "$(whole "$tmp/snap.4")"
done_testing
