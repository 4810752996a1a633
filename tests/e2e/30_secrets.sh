# Card numbers appear in nothing that Tidemark writes: journal, decisions, rejects, logs, summaries, explanations.
# The checks are in tests/e2e/tap.sh, which prints TAP.
. tests/e2e/tap.sh

"$tide" generate --seed 3 --transactions 2000 --bad 5 --output "$tmp/log.jsonl" 2>/dev/null
mkdir "$tmp/written"
w=$tmp/written
"$tide" replay --features "$features" --dev-key --emit-features --log-level debug --input "$tmp/log.jsonl" --output "$w/decisions" --rejects "$w/rejects" \
  --journal "file:$w/journal" --summary >"$w/summary" 2>"$w/log"
id=$(head -n 1 "$w/decisions" | sed 's/^{"id":"\([^"]*\)".*/\1/')
"$tide" explain "$id" --journal "file:$w/journal" --dev-key >"$w/explain" 2>"$w/explain.err"
"$tide" audit --journal "file:$w/journal" --decisions "$w/decisions" >"$w/audit" 2>&1
"$tide" inspect "$w/journal" >"$w/inspect" 2>&1

grep -o '"number":"[0-9]\{12,19\}"' "$tmp/log.jsonl" | grep -o '[0-9]\{12,19\}' | sort -u >"$tmp/pans"
check "the log has card numbers" test "$(wc -l <"$tmp/pans")" -ge 100
check "and they are found where they are" grep -qFf "$tmp/pans" "$tmp/log.jsonl"
check "messages were rejected" test -s "$w/rejects"
check "explain printed something" test -s "$w/explain"
find "$w" -type f | sort >"$tmp/files"
while read -r file; do
  check "no card number in ${file#"$w"/}" sh -c "! LC_ALL=C grep -aqFf '$tmp/pans' '$file'"
done <"$tmp/files"
check "the key is in no file either" sh -c "! LC_ALL=C grep -raq 000102030405060708090a0b0c0d0e0f '$w'"
done_testing
