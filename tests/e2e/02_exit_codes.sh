# Mistakes end with the documented exit code and a sentence that says what to do.
# The checks are in tests/e2e/tap.sh, which prints TAP.
. tests/e2e/tap.sh

"$tide" generate --seed 7 --transactions 50 --output "$tmp/log.jsonl" 2>/dev/null
replay="$tide replay --features $features --dev-key"

exits 2 "no verb" "$tide"
exits 2 "unknown verb" "$tide" rplay
says "the nearest verb is suggested" 'did you mean replay'
exits 2 "unknown option" "$tide" replay --featurs x
says "the nearest option is suggested" 'did you mean --features'
exits 2 "required option missing" "$tide" replay --features "$features"
says "it is named" '--input'
exits 2 "option without its value" "$tide" replay --features "$features" --input
exits 2 "an option is not a value" "$tide" replay --features --input x
exits 2 "an option twice" $replay --input a --output b --output c
exits 2 "a number out of range" $replay --input "$tmp/log.jsonl" --batch 0
exits 2 "not a duration" $replay --input "$tmp/log.jsonl" --lateness soon
exits 2 "not a choice" $replay --input "$tmp/log.jsonl" --format xml
exits 2 "a switch with a value" $replay --input "$tmp/log.jsonl" --json=yes
exits 2 "an argument too many" $replay --input "$tmp/log.jsonl" extra
exits 2 "a group alone" "$tide" features
exits 2 "a group with an unknown word" "$tide" features chek
exits 2 "journal of an unknown kind" $replay --input "$tmp/log.jsonl" --journal disk:/tmp
exits 2 "two keys" $replay --input "$tmp/log.jsonl" --key-file "$tmp/k"
exits 2 "a position with a sign" "$tide" restore --from "$tmp" --journal redis://127.0.0.1:1 --begin-at 5--6
exits 3 "no key for secret fields" "$tide" replay --features "$features" --input "$tmp/log.jsonl"
says "the ways to give one are named" 'TIDEMARK_HASH_KEY'
exits 3 "lateness above duplicates-for" $replay --input "$tmp/log.jsonl" --lateness 8d
exits 3 "unknown shape" $replay --input "$tmp/log.jsonl" --input-shape nowhere

sed 's/count over/cuont over/' "$features" >"$tmp/typo.yaml"
exits 3 "a mistake in the feature file" "$tide" features check "$tmp/typo.yaml"
says "with line and column" 'typo.yaml:[0-9]+:[0-9]+: '
sed -E 's/^( *)tests:.*/&\n\1  - {name: odd, events: [{at: 0s, amount: x}], expect: {decision: approve}}/' "$features" >"$tmp/odd.yaml"
exits 3 "an event of a test that no message may be" "$tide" features check "$tmp/odd.yaml"
says "with line and column too" 'odd.yaml:[0-9]+:[1-9][0-9]*: test "odd"'
sed 's/card.streak_7d: 5/card.streak_7d: 6/' "$features" >"$tmp/failing.yaml"
exits 1 "a failing test in the feature file" "$tide" features check "$tmp/failing.yaml"
check "it says what came" grep -q 'expected 6' "$out"
# A test whose last row is no event has no answer, and a value that cannot be decoded is named with its place.
small() { # EVENTS
  cat >"$tmp/small.yaml" <<END
tidemark: 1
name: small
event: {id: id, time: time, amount: amount in EUR}
inputs: {default: {id: /id, time: /time, amount: /amount, card: /card}}
entities: {card: card}
features: {card: {n: count over 1h}}
policy: {decisions: [approve], lists: [known], rules: [L1: approve when card in known, else: approve]}
tests:
  - name: one
    events: [$1]
    expect: {card.n_1h: 0}
END
}
small '{at: 0s, amount: 1}, {at: 1s, amount: ten}'
exits 3 "a value in a test that is none" "$tide" features check "$tmp/small.yaml"
says "with its line and column" 'small.yaml:10:44: test "one": an event is not valid: amount'
small '{at: 0s, amount: 1}, {at: 1s, list: known}'
exits 3 "a list entry in a test that says nothing" "$tide" features check "$tmp/small.yaml"
says "with the line and column of the entry" 'small.yaml:10:35: test "one": an event is not valid: '
small '{at: 0s, amount: 1}, {at: 1s, list: known, card: c}'
exits 1 "a test that ends with a list entry" "$tide" features check "$tmp/small.yaml"
check "it says that this is no event" grep -q 'a list entry stands last' "$out"
# The tests of a policy of its own are told at their lines in its file, not at those of the file that it is put into.
policy() { # EXPECTED EVENT
  printf 'policy:\n  decisions: [approve]\n  rules:\n    - else: approve\ntests:\n  - {name: one, events: [%s], expect: {rule: %s}}\n' "$2" "$1" >"$tmp/policy.yaml"
}
policy fallback.else '{at: 0s}'
exits 1 "a failing test in a policy" "$tide" policy check "$tmp/policy.yaml" --features "$features"
check "it is told at its line" grep -q 'policy.yaml:6: test "one": rule is else' "$out"
policy else '{at: 0s, amount: ten}'
exits 3 "a value in a policy's test that is none" "$tide" policy check "$tmp/policy.yaml" --features "$features"
says "with its line and column" 'policy.yaml:6:35: test "one": an event is not valid: amount'
exits 0 "the shipped feature file passes its tests" "$tide" features check "$features"
exits 0 "describe" "$tide" features describe "$features"

exits 4 "input that is not there" $replay --input "$tmp/nowhere.jsonl"
exits 4 "output that cannot be written" $replay --input "$tmp/log.jsonl" --output "$tmp/no/such/dir/out"
exits 4 "a journal that is not there" "$tide" audit --journal file:"$tmp/nowhere"
exits 4 "an unknown transaction" sh -c "$replay --input '$tmp/log.jsonl' --journal file:'$tmp/j' && '$tide' explain 1/2/3 --journal file:'$tmp/j'"

exits 0 "a key is generated" "$tide" keys generate "$tmp/key"
exits 4 "a key is never overwritten" "$tide" keys generate "$tmp/key"
exits 0 "a good key" "$tide" keys check "$tmp/key"
chmod 644 "$tmp/key"
exits 1 "a key that others can read" "$tide" keys check "$tmp/key"
exits 1 "doctor sees it too" "$tide" doctor --key-file "$tmp/key"
chmod 600 "$tmp/key"
exits 0 "rotate" "$tide" keys rotate "$tmp/key"
check "the new key stands next to the old" test -s "$tmp/key.next"
echo 1234 >"$tmp/short"
exits 3 "a key that is too short" "$tide" keys check "$tmp/short"
exits 0 "doctor finds nothing to fix" "$tide" doctor --features "$features" --key-file "$tmp/key" --journal file:"$tmp/j"

cp "$tmp/log.jsonl" "$tmp/same.jsonl"
ln -s same.jsonl "$tmp/link.jsonl"
exits 2 "a log is not its own output" $replay --input "$tmp/same.jsonl" --output "$tmp/./same.jsonl"
says "both options are named" '--output and --input'
exits 2 "nor through a link the file of rejects" $replay --input "$tmp/same.jsonl" --rejects "$tmp/link.jsonl"
exits 2 "nor is it the CSV" "$tide" export --features "$features" --input "$tmp/same.jsonl" --dev-key --output "$tmp/same.jsonl"
exits 2 "nor the model" "$tide" train --features "$features" --input "$tmp/same.jsonl" --dev-key --output "$tmp/same.jsonl"
exits 2 "a pipeline is not overwritten by its model" "$tide" model import "$tmp/same.jsonl" --output "$tmp/same.jsonl"
exits 2 "two outputs are two files" $replay --input "$tmp/same.jsonl" --output "$tmp/both" --rejects "$tmp/both"
same "nothing was written over the log" "$tmp/log.jsonl" "$tmp/same.jsonl"
exits 0 "one device may be both" $replay --input /dev/null --output /dev/null --rejects /dev/null

check "a run with all standard streams closed" sh -c "$replay --input '$tmp/log.jsonl' --journal 'file:$tmp/closed' --snapshot-every 1 --batch 10 --log-level info <&- >&- 2>&-"
check "no log line went into a file of the journal" sh -c "! grep -raq level= '$tmp/closed'"
check "a run without output and errors" sh -c "$replay --input '$tmp/log.jsonl' --journal 'file:$tmp/closed2' --snapshot-every 1 --batch 10 --log-level info >&- 2>&-"
check "no log line went into its journal either" sh -c "! grep -raq level= '$tmp/closed2'"
exits 4 "standard output that is closed" sh -c "$replay --input '$tmp/log.jsonl' --summary >&-"
exits 4 "a summary that cannot be written" sh -c "$replay --input '$tmp/log.jsonl' --summary >/dev/full"
says "it says so" 'standard output'

echo '{"broken' >>"$tmp/log.jsonl"
exits 0 "a bad message does not stop a replay" $replay --input "$tmp/log.jsonl"
exits 1 "unless it is asked to be strict" $replay --input "$tmp/log.jsonl" --strict --rejects "$tmp/rejects"
check "the reject names its line" grep -q '^{"line":[0-9]*,.*"reason":"syntax"' "$tmp/rejects"
done_testing
