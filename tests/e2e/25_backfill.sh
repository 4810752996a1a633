# Decisions after a back-fill are those of a run that saw everything: same lines but for the position. The log overlaps with the history, and a
# journal that begins after one can be gone on with, but not without it.
. tests/e2e/tap.sh

"$tide" generate --seed 21 --transactions 3000 --duplicates 0 --out-of-order 3 --output "$tmp/log.jsonl" 2>/dev/null
lines=$(wc -l <"$tmp/log.jsonl")
cut=$((lines / 2))
head -n "$cut" "$tmp/log.jsonl" >"$tmp/history.jsonl"
tail -n +$((cut - 300)) "$tmp/log.jsonl" >"$tmp/live.jsonl"
replay() { # INPUT OUTPUT OPTIONS...
  local input=$1 output=$2
  shift 2
  "$tide" replay --features "$features" --dev-key --log-level error --emit-features --input "$input" --output "$output" "$@" >/dev/null 2>"$tmp/replay.err"
}
check "everything live" replay "$tmp/log.jsonl" "$tmp/all"
check "history decided as a log" replay "$tmp/history.jsonl" "$tmp/first"
exits 0 "back-fill" "$tide" backfill --features "$features" --dev-key --log-level error --input "$tmp/history.jsonl" --output "$tmp/snap"
check "a journal that begins after it" replay "$tmp/live.jsonl" "$tmp/rest" --journal "file:$tmp/journal" --start-from "$tmp/snap"
plain() { sed 's/"position":"[^"]*"//' "$1"; }
plain "$tmp/all" | tail -n +$(($(wc -l <"$tmp/first") + 1)) >"$tmp/want"
plain "$tmp/rest" >"$tmp/got"
check "there are decisions to compare" test "$(wc -l <"$tmp/want")" -ge 500
same "decisions from the cut on are those of the run that saw everything" "$tmp/want" "$tmp/got"
check "without the history they would differ" sh -c "'$tide' replay --features '$features' --dev-key --log-level error --emit-features \
  --input '$tmp/live.jsonl' --output '$tmp/alone' 2>/dev/null; ! cmp -s '$tmp/rest' '$tmp/alone'"
cp "$tmp/rest" "$tmp/again"
check "going on" replay "$tmp/live.jsonl" "$tmp/again" --journal "file:$tmp/journal" --start-from "$tmp/snap"
same "changes nothing" "$tmp/rest" "$tmp/again"
exits 5 "going on without the history is refused" "$tide" replay --features "$features" --dev-key --input "$tmp/live.jsonl" --output "$tmp/again" \
  --journal "file:$tmp/journal"
replay "$tmp/live.jsonl" "$tmp/other" --journal "file:$tmp/plain.journal"
exits 5 "so is a journal that began without it" "$tide" replay --features "$features" --dev-key --input "$tmp/live.jsonl" --output "$tmp/other" \
  --journal "file:$tmp/plain.journal" --start-from "$tmp/snap"
sed 's/name: .*/name: other/' "$features" >"$tmp/other.yaml"
exits 3 "so is another feature file" "$tide" replay --features "$tmp/other.yaml" --dev-key --input "$tmp/live.jsonl" --journal "file:$tmp/j3" --start-from "$tmp/snap"
truncate -s 100 "$tmp"/snap/snap-*/MANIFEST
exits 5 "so is a damaged one" "$tide" replay --features "$features" --dev-key --input "$tmp/live.jsonl" --journal "file:$tmp/j4" --start-from "$tmp/snap"
done_testing
