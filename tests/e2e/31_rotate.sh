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
# A list entry is known under the keys with which it came. One that was sent before the rotation is lost with the old key, which `keys rotate` tells; sent again, it holds.
cat >"$tmp/listed.yaml" <<'END'
tidemark: 1
name: listed
event: {id: id, time: t, key: pan}
inputs:
  default: {id: /id, t: {at: /t, as: epoch_s}, pan: /pan}
  lists: {when: {/type: list}, type: list, t: {at: /t, as: epoch_s}, pan: /pan, list: /list}
entities: {card: pan}
features: {card: {n: count over 1h}}
policy:
  decisions: [approve, decline]
  lists: [blocked]
  rules:
    - L1: decline when card in blocked
    - else: approve
END
card() { printf '{"id":"%s","t":%s,"pan":"9000000000000001"}\n' "$1" "$1"; }
block() { printf '{"type":"list","t":%s,"pan":"9000000000000001","list":"blocked"}\n' "$1"; }
rotation() { # NAME, lines that come while both keys travel
  local run="$tide replay --features $tmp/listed.yaml --log-level error --input $tmp/$1.log --output $tmp/$1.out --journal file:$tmp/$1.journal"
  (block 1767225600; card 1767225601) >"$tmp/$1.log"
  $run --key-file "$tmp/key" || return 1
  printf '%s\n' "$2" >>"$tmp/$1.log"
  $run --key-file "$tmp/key.next" --key-file-previous "$tmp/key" || return 1
  card 1767225609 >>"$tmp/$1.log"
  $run --key-file "$tmp/key.next" || return 1
  sed 's/.*"decision":"\([a-z]*\)".*/\1/' "$tmp/$1.out" | tr '\n' ' ' >"$tmp/$1.decisions"
}
check "a rotation with a list that is not sent again" rotation once "$(card 1767225605)"
check "the entry holds while both keys travel, and no longer" test "$(cat "$tmp/once.decisions")" = "decline decline approve "
check "a rotation with a list that is sent again" rotation again "$(block 1767225604; card 1767225605)"
check "the entry holds" test "$(cat "$tmp/again.decisions")" = "decline decline decline "
check "who rotates is told so" sh -c "'$tide' keys rotate '$tmp/key' --output '$tmp/third' | grep -q 'send lists of cards'"
done_testing
