# Keys rotate in the middle of a log: while both hashes travel, every card keeps its history, so the decisions and features are those of
# a run under one key.
. tests/e2e/tap.sh

"$tide" generate --seed 21 --transactions 3000 --days 20 --output "$tmp/log.jsonl" 2>/dev/null
"$tide" keys generate "$tmp/key" >/dev/null
"$tide" keys rotate "$tmp/key" >/dev/null
head -n 3000 "$tmp/log.jsonl" >"$tmp/first.jsonl"
replay="$tide replay --features $features --log-level error --emit-features"
exits 0 "under one key" $replay --key-file "$tmp/key" --input "$tmp/log.jsonl" --output "$tmp/one"
exits 0 "the first part" $replay --key-file "$tmp/key" --input "$tmp/first.jsonl" --output "$tmp/two" --journal "file:$tmp/journal"
exits 3 "the new key alone is refused: it would not know any card" $replay --key-file "$tmp/key.next" --input "$tmp/log.jsonl" --output "$tmp/two" \
  --journal "file:$tmp/journal"
exits 0 "the rest under both" $replay --key-file "$tmp/key.next" --key-file-previous "$tmp/key" --input "$tmp/log.jsonl" --output "$tmp/two" \
  --journal "file:$tmp/journal"
for f in one two; do sed 's/"position":"[^"]*",//; s/"first_position":"[^"]*",//' "$tmp/$f" >"$tmp/$f.bare"; done
check "there are decisions" test "$(wc -l <"$tmp/one.bare")" -ge 3000
same "the same decisions and features" "$tmp/one.bare" "$tmp/two.bare"
exits 0 "audit agrees" "$tide" audit --journal "file:$tmp/journal" --decisions "$tmp/two"
done_testing
