# kill -9 in the middle of a replay that writes snapshots and trims its journal, at moments that a fixed seed picks; going on gives, byte for
# byte, the output of a run that was never killed. Then files of the newest snapshot are damaged in turn: it is passed over, for the
# older one and at last for the journal itself, and the output is the same again. TIDE_CASES asks for more kills.
. tests/e2e/tap.sh
# A killed process does not need a slow disk: what it wrote is with the kernel either way.
if shm=$(mktemp -d /dev/shm/tidemark-kill-XXXXXX 2>/dev/null); then
  tmp=$shm
  trap 'rm -rf "$shm"' EXIT
fi

kills=${TIDE_CASES:-}
kills=${kills:-40}
"$tide" generate --seed 11 --transactions 4000 --duplicates 2 --out-of-order 3 --bad 1 --output "$tmp/log.jsonl" 2>/dev/null
replay() { # OUTPUT REJECTS JOURNAL
  "$tide" replay --features "$features" --dev-key --log-level info --emit-features --batch 32 --input "$tmp/log.jsonl" --output "$1" --rejects "$2" \
    --journal "file:$3" --journal-segment-kib 64 --snapshot-every 30 --trim >/dev/null 2>"$tmp/replay.err"
}
begin=$(date +%s%N)
check "a whole run" replay "$tmp/whole" "$tmp/whole.rejects" "$tmp/whole.journal"
span=$((($(date +%s%N) - begin) / 1000))
"$tide" replay --features "$features" --dev-key --log-level error --emit-features --batch 32 --input "$tmp/log.jsonl" --output "$tmp/plain" \
  --journal "file:$tmp/plain.journal" >/dev/null 2>&1
same "snapshots change no byte of the output" "$tmp/plain" "$tmp/whole"
check "two generations stand" test "$(ls "$tmp/whole.journal/snapshots" | grep -c '^snap-')" = 2
check "trim moved segments to the archive" test "$(ls "$tmp/whole.journal/archive" | grep -c tdz)" -ge 2
check "the beginning is gone from the journal" test ! -e "$tmp/whole.journal/000000000001.tdj"
exits 0 "audit reads archive and journal as one" "$tide" audit --journal "file:$tmp/whole.journal" --decisions "$tmp/whole"
echo "# a whole run takes $((span / 1000)) ms"

random=${TIDE_SEED:-}
random=${random:-4711}
differs=0 round=0 killed=0 used=0
while [ $killed -lt "$kills" ] && [ $round -lt $((kills * 4)) ]; do
  round=$((round + 1))
  rm -rf "$tmp/k" "$tmp/k.rejects" "$tmp/k.journal"
  stops=0
  # Kill, go on, kill again ... and at last let it finish.
  while [ $stops -lt 5 ]; do
    stops=$((stops + 1))
    "$tide" replay --features "$features" --dev-key --log-level info --emit-features --batch 32 --input "$tmp/log.jsonl" --output "$tmp/k" \
      --rejects "$tmp/k.rejects" --journal "file:$tmp/k.journal" --journal-segment-kib 64 --snapshot-every 30 --trim >/dev/null 2>"$tmp/killed.err" &
    pid=$!
    random=$(((random * 1103515245 + 12345) % 2147483648))
    sleep "$(awk -v us=$((random / 16 % (span / 3 + 1))) 'BEGIN { printf "%.4f", us / 1e6 }')"
    if kill -9 $pid 2>/dev/null; then killed=$((killed + 1)); fi
    wait $pid 2>/dev/null
    if grep -q snapshot_used "$tmp/killed.err"; then used=$((used + 1)); fi
  done
  if ! replay "$tmp/k" "$tmp/k.rejects" "$tmp/k.journal"; then
    sed 's/^/# /' "$tmp/replay.err"
    result "round $round goes on" 1
    differs=1
    break
  fi
  if grep -q snapshot_used "$tmp/replay.err"; then used=$((used + 1)); fi
  for what in "" .rejects; do
    if cmp "$tmp/whole$what" "$tmp/k$what" >"$tmp/cmp" 2>&1; then continue; fi
    sed 's/^/# /' "$tmp/cmp"
    differs=1
  done
  if [ $differs = 1 ]; then break; fi
done
echo "# $killed kills in $round rounds; $used runs began from a snapshot"
check "$kills kills happened" test "$killed" -ge "$kills"
check "output and rejects are byte-equal after every round" test $differs = 0
check "snapshots were used" test $used -ge 5
exits 0 "audit agrees" "$tide" audit --journal "file:$tmp/k.journal" --decisions "$tmp/k"

# A run killed half-way, to be gone on with again and again.
head -n 2500 "$tmp/log.jsonl" >"$tmp/half.jsonl"
"$tide" replay --features "$features" --dev-key --log-level error --emit-features --batch 32 --input "$tmp/half.jsonl" --output "$tmp/half" \
  --rejects "$tmp/half.rejects" --journal "file:$tmp/half.journal" --journal-segment-kib 64 --snapshot-every 30 --trim >/dev/null 2>&1
begin_half() {
  rm -rf "$tmp/d" "$tmp/d.rejects" "$tmp/d.journal"
  cp "$tmp/half" "$tmp/d"
  cp "$tmp/half.rejects" "$tmp/d.rejects"
  cp -r "$tmp/half.journal" "$tmp/d.journal"
}
# What a run over the whole log gives that stopped there once: the digest at the stop takes a place of its own.
begin_half
check "a stopped run goes on" replay "$tmp/d" "$tmp/d.rejects" "$tmp/d.journal"
check "from a snapshot" grep -q snapshot_used "$tmp/replay.err"
rm -rf "$tmp/want.journal"
cp -r "$tmp/half.journal" "$tmp/want.journal"
rm -rf "$tmp/want.journal/snapshots"
cp "$tmp/half" "$tmp/want"
cp "$tmp/half.rejects" "$tmp/want.rejects"
check "it goes on without snapshots as well, from the archive" replay "$tmp/want" "$tmp/want.rejects" "$tmp/want.journal"
check "and folds from the beginning" sh -c "! grep -q snapshot_used '$tmp/replay.err'"
same "both give the same output" "$tmp/want" "$tmp/d"

newest() { ls "$tmp/d.journal/snapshots" | sort -t- -k2,2n -k3,3n | tail -n 1; }
flip() { # FILE: the middle byte
  local at=$(($(wc -c <"$1") / 2))
  local byte
  byte=$(dd if="$1" bs=1 skip=$at count=1 2>/dev/null | od -An -tu1 | tr -d ' ')
  # shellcheck disable=SC2059
  printf "\\$(printf %03o $((byte ^ 85)))" | dd of="$1" bs=1 seek=$at conv=notrunc 2>/dev/null
}
begin_half
snap=$(newest)
damaged=0 wrong=0 silent=0
for file in $(ls "$tmp/d.journal/snapshots/$snap"); do
  for how in flip cut remove; do
    # All shards are read by the same code: the first, one between and the last stand for them.
    case $how-$file in *-MANIFEST | *-globals.zst | flip-00.zst | *-07.zst | flip-63.zst) ;; *) continue ;; esac
    begin_half
    path=$tmp/d.journal/snapshots/$snap/$file
    case $how in
      flip) flip "$path" ;;
      cut) truncate -s -1 "$path" ;;
      remove) rm "$path" ;;
    esac
    damaged=$((damaged + 1))
    replay "$tmp/d" "$tmp/d.rejects" "$tmp/d.journal" || wrong=$((wrong + 1))
    grep -q snapshot_passed_over "$tmp/replay.err" && grep -q snapshot_used "$tmp/replay.err" || silent=$((silent + 1))
    cmp -s "$tmp/want" "$tmp/d" || wrong=$((wrong + 1))
  done
done
echo "# $damaged damages"
check "each damage is passed over for the older snapshot, and said" test $silent = 0
check "and the output is the same" test $wrong = 0

begin_half
for snap in "$tmp"/d.journal/snapshots/snap-*; do flip "$snap/globals.zst"; done
check "with both damaged it goes on" replay "$tmp/d" "$tmp/d.rejects" "$tmp/d.journal"
check "from the beginning, and says so" grep -q 'fold from the beginning' "$tmp/replay.err"
same "with the same output" "$tmp/want" "$tmp/d"

begin_half
rm "$tmp/d"
check "an output that is gone" replay "$tmp/d" "$tmp/d.rejects" "$tmp/d.journal"
check "is not made from a snapshot" grep -q 'the output lacks decisions' "$tmp/replay.err"
same "but written whole" "$tmp/want" "$tmp/d"

# A snapshot of another log at the same position.
"$tide" generate --seed 12 --transactions 4000 --duplicates 2 --out-of-order 3 --bad 1 --output "$tmp/other.jsonl" 2>/dev/null
head -n 2500 "$tmp/other.jsonl" >"$tmp/foreign.jsonl"
"$tide" replay --features "$features" --dev-key --log-level error --batch 32 --input "$tmp/foreign.jsonl" --output "$tmp/foreign" \
  --journal "file:$tmp/foreign.journal" --journal-segment-kib 64 --snapshot-every 30 >/dev/null 2>&1
begin_half
rm -rf "$tmp/d.journal/snapshots"
cp -r "$tmp/foreign.journal/snapshots" "$tmp/d.journal/snapshots"
check "snapshots of another log" replay "$tmp/d" "$tmp/d.rejects" "$tmp/d.journal"
check "are passed over" sh -c "grep -Eq 'the journal (holds another|does not hold the) entry' '$tmp/replay.err' && ! grep -q snapshot_used '$tmp/replay.err'"
same "and do no harm" "$tmp/want" "$tmp/d"
exits 2 "snapshots need a journal of files" "$tide" replay --features "$features" --dev-key --input "$tmp/log.jsonl" --snapshot-every 10
done_testing
