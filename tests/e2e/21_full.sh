# A disk that is full in the middle of a replay: a clear error, exit code 4, nothing acknowledged is lost; with room again the run goes on
# to the same bytes. A limit on the size of files (EFBIG) stands for the disk, so that no mount is needed; it hits journal and output in turn.
. tests/e2e/tap.sh

"$tide" generate --seed 9 --transactions 4000 --output "$tmp/log.jsonl" 2>/dev/null
replay="$tide replay --features $features --dev-key --log-level error --emit-features --batch 100 --input $tmp/log.jsonl"
$replay --output "$tmp/whole" --journal "file:$tmp/whole.journal" >/dev/null 2>&1
dump "$tmp/whole.journal" "$tmp/whole.dump"
check "a whole run" test -s "$tmp/whole"
journal_kib=$(du -k "$tmp/whole.journal" | tail -n 1 | cut -f1)
echo "# journal $journal_kib KiB, output $(du -k "$tmp/whole" | cut -f1) KiB"

for kib in 200 500 $((journal_kib + 200)) $((journal_kib + 3000)); do
  # SIGXFSZ would kill the program as a limit, a full disk does not: ignored, write fails instead.
  exits 4 "no room above $kib KiB" bash -c "trap '' XFSZ; ulimit -f $kib; $replay --output $tmp/k --journal file:$tmp/k.journal"
  says "it says so ($kib)" '([Nn]o space|full|too large)'
  exits 0 "what is there can be audited ($kib)" "$tide" audit --journal "file:$tmp/k.journal"
done
exits 0 "with room it goes on" $replay --output "$tmp/k" --journal "file:$tmp/k.journal"
dump "$tmp/k.journal" "$tmp/k.dump"
same "to the same output" "$tmp/whole" "$tmp/k"
same "and the same journal" "$tmp/whole.dump" "$tmp/k.dump"
done_testing
