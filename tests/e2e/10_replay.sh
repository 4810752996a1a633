# The same log gives the same bytes: on every run, from memory and file journals, from any batch of entries, plain and compressed.
# The checks are in tests/e2e/tap.sh, which prints TAP.
. tests/e2e/tap.sh

"$tide" generate --seed 11 --transactions 4000 --duplicates 2 --out-of-order 3 --reused-ids 1 --bad 1 --late 0.5 --output "$tmp/log.jsonl" 2>/dev/null
replay="$tide replay --features $features --dev-key --emit-features --log-level error"
$replay --input "$tmp/log.jsonl" --output "$tmp/a" --rejects "$tmp/a.rejects" --json >"$tmp/a.json"
check "there are decisions" test "$(wc -l <"$tmp/a")" -ge 4000
$replay --input "$tmp/log.jsonl" --output "$tmp/b" --rejects "$tmp/b.rejects" >/dev/null 2>&1
same "twice" "$tmp/a" "$tmp/b"
same "the same rejects" "$tmp/a.rejects" "$tmp/b.rejects"
check "as many rejects as the summary says" sh -c "grep -o '\"rejected\":[0-9]*' '$tmp/a.json' | grep -qx '\"rejected\":'\$(wc -l <'$tmp/a.rejects' | tr -d ' ')"
$replay --input "$tmp/log.jsonl" --output "$tmp/b" --journal file:"$tmp/journal" >/dev/null 2>&1
same "through a file journal" "$tmp/a" "$tmp/b"
$replay --input "$tmp/log.jsonl" --output "$tmp/b" --journal file:"$tmp/journal2" >/dev/null 2>&1
for f in journal journal2; do dump "$tmp/$f" "$tmp/$f.dump"; done
check "the journal can be read" test -s "$tmp/journal.dump"
same "the journals are equal as well" "$tmp/journal.dump" "$tmp/journal2.dump"
$replay --input "$tmp/log.jsonl" --output - >"$tmp/b" 2>/dev/null
same "to standard output" "$tmp/a" "$tmp/b"
$replay --input - --output "$tmp/b" <"$tmp/log.jsonl" >/dev/null 2>&1
same "from standard input" "$tmp/a" "$tmp/b"
gzip -c "$tmp/log.jsonl" >"$tmp/log.gz"
$replay --input "$tmp/log.gz" --output "$tmp/b" >/dev/null 2>&1
same "from gzip" "$tmp/a" "$tmp/b"
head -n 2500 "$tmp/log.jsonl" >"$tmp/part1"
tail -n +2501 "$tmp/log.jsonl" >"$tmp/part2"
$replay --input "$tmp/part1" --input "$tmp/part2" --output "$tmp/b" >/dev/null 2>&1
same "from two files" "$tmp/a" "$tmp/b"
# The generator writes the same issuer as JSON lines and as CSV rows, compressed by the file's name.
"$tide" generate --seed 12 --transactions 1500 --output "$tmp/same.jsonl" 2>/dev/null
"$tide" generate --seed 12 --transactions 1500 --format csv --output "$tmp/same.csv.zst" 2>/dev/null
$replay --input "$tmp/same.jsonl" --output "$tmp/json" >/dev/null 2>&1
$replay --input "$tmp/same.csv.zst" --input-shape history --output "$tmp/csv" >/dev/null 2>&1
check "there are decisions from CSV" test "$(wc -l <"$tmp/csv")" -ge 1500
same "the same from CSV in zstd as from JSON" "$tmp/json" "$tmp/csv"
# Several CSV files: one of them is empty, another was saved by a spreadsheet; each has its header.
"$tide" generate --seed 12 --transactions 1500 --format csv --output "$tmp/same.csv" 2>/dev/null
: >"$tmp/empty.csv"
head -n 800 "$tmp/same.csv" >"$tmp/part1.csv"
(printf '\357\273\277' && head -n 1 "$tmp/same.csv" && tail -n +801 "$tmp/same.csv") >"$tmp/part2.csv"
$replay --input "$tmp/empty.csv" --input "$tmp/part1.csv" --input "$tmp/part2.csv" --input-shape history --output "$tmp/b" >/dev/null 2>&1
same "the same from parts of the CSV" "$tmp/json" "$tmp/b"
# Positions name entries, everything else must not depend on how records are grouped.
$replay --input "$tmp/log.jsonl" --output "$tmp/b" --batch 7 >/dev/null 2>&1
for f in a b; do sed 's/"position":"[^"]*",//; s/"first_position":"[^"]*",//' "$tmp/$f" >"$tmp/$f.bare"; done
same "in entries of another size" "$tmp/a.bare" "$tmp/b.bare"

exits 0 "audit proves the decisions" "$tide" audit --journal file:"$tmp/journal" --decisions "$tmp/a"
sed '100s/"duplicate":false/"duplicate":true/' "$tmp/a" >"$tmp/forged"
check "(the forged file differs)" sh -c "! cmp -s '$tmp/a' '$tmp/forged'"
exits 5 "audit finds a changed decision" "$tide" audit --journal file:"$tmp/journal" --decisions "$tmp/forged"
head -n 3000 "$tmp/a" >"$tmp/short"
exits 5 "audit finds missing decisions" "$tide" audit --journal file:"$tmp/journal" --decisions "$tmp/short"

id=$(grep '"decision":"decline"' "$tmp/a" | head -n 1 | sed 's/^{"id":"\([^"]*\)".*/\1/')
check "something was declined" test -n "$id"
exits 0 "explain" "$tide" explain "$id" --journal file:"$tmp/journal"
check "it names the decision" grep -q '  decline, by' "$out"
exits 0 "explain --json" "$tide" explain "$id" --journal file:"$tmp/journal" --json
check "with the answer as it was given" sh -c "grep -F '\"id\":\"$id\"' '$tmp/a' | head -n 1 | xargs -0 -I{} printf %s '{}' | cut -c1-200 | grep -qF \"\$(grep -o '\"answer\":{.*' '$out' | cut -c10-150)\""

printf 'policy:\n  decisions: [approve, decline]\n  rules:\n    - X1: decline when amount >= 200\n    - else: approve\n  fallback:\n    - else: approve\n' >"$tmp/new.yaml"
exits 0 "backtest" "$tide" backtest --rules "$tmp/new.yaml" --features "$features" --input "$tmp/log.jsonl" --dev-key
check "it shows what changes" grep -q 'Compared with' "$out"
check "and the new rule" grep -q 'X1 decline' "$out"
exits 0 "backtest --json" "$tide" backtest --rules "$tmp/new.yaml" --features "$features" --input "$tmp/log.jsonl" --dev-key --json
check "is JSON" python3 -m json.tool "$out" /dev/null
exits 2 "a section alone needs the rest" "$tide" backtest --rules "$tmp/new.yaml" --input "$tmp/log.jsonl" --dev-key
done_testing
