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
exits 0 "audit proves it, with the history" "$tide" audit --journal "file:$tmp/journal" --decisions "$tmp/rest" --start-from "$tmp/snap"
exits 5 "and not without" "$tide" audit --journal "file:$tmp/journal" --decisions "$tmp/rest"
says "it names what is missing" "began after a back-fill that was not given \(--start-from"
id=$(sed -n 's/^{"id":"\([^"]*\)".*/\1/p' "$tmp/rest" | tail -n 1)
exits 0 "explain knows the history" "$tide" explain "$id" --journal "file:$tmp/journal" --start-from "$tmp/snap" --dev-key --json
exits 5 "and does not go on without it" "$tide" explain "$id" --journal "file:$tmp/journal" --dev-key

# The same history in any order, with the time at which each row became known.
python3 - "$tmp/history.jsonl" "$tmp/known.jsonl" "$tmp/shuffled.jsonl" <<'P'
import json, random, sys
rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
for i, row in enumerate(rows):
    row["known"] = f"2026-06-01T{i // 7200 % 24:02}:{i // 120 % 60:02}:{i // 2 % 60:02}Z"  # two rows a second: ties
out = [json.dumps(row, separators=(",", ":")) for row in rows]
open(sys.argv[2], "w", encoding="utf-8").write("\n".join(out) + "\n")
pairs = [out[i : i + 2] for i in range(0, len(out), 2)]  # rows of one second keep their order
random.Random(7).shuffle(pairs)
open(sys.argv[3], "w", encoding="utf-8").write("\n".join(line for pair in pairs for line in pair) + "\n")
P
chunks() { (cd "$1" && cat $(find . -name 'chunk-*' -o -name '*.zst' | sort) | cksum); }
for way in "a --in-order known" "b --known-at=/known shuffled" "c --known-at=/known known"; do
  set -- $way
  exits 0 "back-fill $2 of $3" "$tide" backfill --features "$features" --dev-key --log-level error --input "$tmp/$3.jsonl" --memory-mib 1 --output "$tmp/snap.$1" "$2"
done
# Any number of threads, sorted or not, in memory or through files: every file of the snapshot has the same bytes.
whole() { (cd "$1" && find . -type f | sort | xargs cat | cksum); }
for threads in 1 2 4; do
  exits 0 "back-fill on $threads threads" "$tide" backfill --threads $threads --features "$features" --dev-key --log-level error --input "$tmp/history.jsonl" --output "$tmp/snap.t$threads"
  exits 0 "sorted on $threads threads" "$tide" backfill --threads $threads --features "$features" --dev-key --log-level error --input "$tmp/shuffled.jsonl" --known-at /known \
    --memory-mib 1 --output "$tmp/snap.s$threads"
  check "threads do not show ($threads)" test "$(whole "$tmp/snap.t$threads")" = "$(whole "$tmp/snap")"
  check "nor when sorting ($threads)" test "$(whole "$tmp/snap.s$threads")" = "$(whole "$tmp/snap.b")"
done
exits 2 "no threads" "$tide" backfill --threads 0 --features "$features" --dev-key --input "$tmp/history.jsonl" --output "$tmp/snap.t0"
check "sorting has no trace left" test -z "$(find "$tmp/snap.b" -name '.history*')"
check "there is something to compare" test -n "$(find "$tmp/snap.a" -name '*.zst' -o -name 'chunk-*')"
check "a shuffled history gives the same state" test "$(chunks "$tmp/snap.a")" = "$(chunks "$tmp/snap.b")"
check "however it was sorted before" test "$(chunks "$tmp/snap.a")" = "$(chunks "$tmp/snap.c")"
exits 1 "a time that the messages do not have" "$tide" backfill --features "$features" --dev-key --input "$tmp/known.jsonl" --output "$tmp/snap.d" --known-at /when --strict
says "rejects them" '0 messages folded'
exits 0 "an end" "$tide" backfill --features "$features" --dev-key --input "$tmp/shuffled.jsonl" --output "$tmp/snap.e" --known-at /known --until 2026-06-01T00:05:00Z
says "leaves out what became known later" '600 messages folded in the order in which they became known, [1-9][0-9]* left out'
exits 0 "cursors" "$tide" backfill --features "$features" --dev-key --input "$tmp/history.jsonl" --output "$tmp/snap.f" --until "0/0:$(wc -c <"$tmp/history.jsonl")"
check "a journal begins where the history ended" replay "$tmp/log.jsonl" "$tmp/from.cut" --journal "file:$tmp/j5" --start-from "$tmp/snap.f"
plain "$tmp/from.cut" >"$tmp/got"
same "with the same decisions" "$tmp/want" "$tmp/got"
(sed -n 1,20p "$tmp/history.jsonl"; echo '{"type":"auth"}'; sed -n 21,40p "$tmp/history.jsonl"; echo '{') >"$tmp/bad.jsonl"
exits 0 "rows that cannot be used" "$tide" backfill --features "$features" --dev-key --input "$tmp/bad.jsonl" --output "$tmp/snap.g"
says "are counted" '40 messages folded.* 2 rejected'
says "and the first says why" 'the first that was rejected, line 21: the required field '
exits 2 "an end that is neither" "$tide" backfill --features "$features" --dev-key --input "$tmp/history.jsonl" --output "$tmp/snap.g" --until tomorrow
exits 2 "a cursor twice" "$tide" backfill --features "$features" --dev-key --input "$tmp/history.jsonl" --output "$tmp/snap.g" --until 0/0:1,0/0:2
exits 2 "nor by the name of its source" "$tide" backfill --features "$features" --dev-key --input "$tmp/history.jsonl" --output "$tmp/snap.g" --until auths/0:1,auths/0:2
says "it names the partition" "twice: source [0-9]+, partition 0"
exits 0 "a source by its name" "$tide" backfill --features "$features" --dev-key --input "$tmp/history.jsonl" --output "$tmp/snap.n" --until auths/0:17,auths/1:5
for until in 0/0:-1 0/-1:5 "0/0: 5" 0/0:9223372036854775808; do
  exits 2 "no cursor: $until" "$tide" backfill --features "$features" --dev-key --input "$tmp/history.jsonl" --output "$tmp/snap.g" --until "$until"
done

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
