# kill -9 in the middle of a replay with a file journal, at moments that a fixed seed picks; going on gives, byte for byte, the output,
# rejects and journal of a run that was never killed. TIDE_KILLS asks for more kills.
. tests/e2e/tap.sh

kills=${TIDE_KILLS:-}
kills=${kills:-24}
"$tide" generate --seed 5 --transactions 6000 --duplicates 2 --out-of-order 3 --bad 1 --output "$tmp/log.jsonl" 2>/dev/null
replay() { # OUTPUT REJECTS JOURNAL
  "$tide" replay --features "$features" --dev-key --log-level error --emit-features --batch 64 --input "$tmp/log.jsonl" --output "$1" --rejects "$2" --journal "file:$3" >/dev/null 2>"$tmp/replay.err"
}
begin=$(date +%s%N)
replay "$tmp/whole" "$tmp/whole.rejects" "$tmp/whole.journal"
span=$((($(date +%s%N) - begin) / 1000))
check "a whole run" test -s "$tmp/whole"
dump "$tmp/whole.journal" "$tmp/whole.dump"
check "its journal can be read" test -s "$tmp/whole.dump"
echo "# a whole run takes $((span / 1000)) ms"

random=${TIDE_SEED:-}
random=${random:-12345}
interrupted=0 round=0 killed=0
while [ $killed -lt "$kills" ] && [ $round -lt $((kills * 4)) ]; do
  round=$((round + 1))
  rm -rf "$tmp/k" "$tmp/k.rejects" "$tmp/k.journal"
  stops=0
  # Kill, go on, kill again ... and at last let it finish.
  while [ $stops -lt 4 ]; do
    stops=$((stops + 1))
    "$tide" replay --features "$features" --dev-key --log-level error --emit-features --batch 64 --input "$tmp/log.jsonl" --output "$tmp/k" \
      --rejects "$tmp/k.rejects" --journal "file:$tmp/k.journal" >/dev/null 2>&1 &
    pid=$!
    random=$(((random * 1103515245 + 12345) % 2147483648))
    sleep "$(awk -v us=$((random / 16 % (span + 1))) 'BEGIN { printf "%.4f", us / 1e6 }')"
    if kill -9 $pid 2>/dev/null; then killed=$((killed + 1)); fi
    wait $pid 2>/dev/null
  done
  if ! replay "$tmp/k" "$tmp/k.rejects" "$tmp/k.journal"; then
    sed 's/^/# /' "$tmp/replay.err"
    result "round $round goes on" 1
    break
  fi
  dump "$tmp/k.journal" "$tmp/k.dump"
  for what in "" .rejects .dump; do
    if cmp "$tmp/whole$what" "$tmp/k$what" >"$tmp/cmp" 2>&1; then continue; fi
    sed 's/^/# /' "$tmp/cmp"
    interrupted=1
  done
  if [ $interrupted = 1 ]; then break; fi
done
echo "# $killed kills in $round rounds"
check "$kills kills happened" test "$killed" -ge "$kills"
check "output, rejects and journal are byte-equal after every round" test $interrupted = 0
exits 0 "audit agrees" "$tide" audit --journal "file:$tmp/k.journal" --decisions "$tmp/k"

replay "$tmp/k" "$tmp/k.rejects" "$tmp/k.journal"
same "a run that is complete changes nothing" "$tmp/whole" "$tmp/k"
dump "$tmp/k.journal" "$tmp/k.dump"
same "nor its journal" "$tmp/whole.dump" "$tmp/k.dump"
sed 's/name: .*/name: other/' "$features" >"$tmp/other.yaml"
exits 3 "another feature file is refused" "$tide" replay --features "$tmp/other.yaml" --dev-key --input "$tmp/log.jsonl" --journal "file:$tmp/k.journal"
exits 3 "another setting is refused" "$tide" replay --features "$features" --dev-key --grace 2h --input "$tmp/log.jsonl" --journal "file:$tmp/k.journal"
says "and named" 'grace_ms'
"$tide" keys generate "$tmp/key" >/dev/null
exits 3 "another key is refused" "$tide" replay --features "$features" --key-file "$tmp/key" --input "$tmp/log.jsonl" --journal "file:$tmp/k.journal"
head -n 1000 "$tmp/log.jsonl" >"$tmp/shorter"
exits 5 "another input is refused" "$tide" replay --features "$features" --dev-key --input "$tmp/shorter" --journal "file:$tmp/k.journal"
done_testing
