# A model from the log to the decision: the shipped one is made again byte for byte; replay scores with it; a journal keeps to its model through
# interruption, snapshot and audit; what does not fit is refused.
. tests/e2e/tap.sh
model=$root/config/defaults/model.json
inputs=$root/config/defaults/model.inputs

check "the shipped model is made again" sh -c "TIDE_BIN='$tide' sh config/model.sh '$tmp' '$tmp/again.json' >'$tmp/report' 2>/dev/null"
same "byte for byte" "$model" "$tmp/again.json"
check "and it is worth something" grep -Eq 'ROC AUC +0\.9[5-9]' "$tmp/report"

exits 0 "model check" "$tide" model check "$model" --features "$features"
exits 0 "model describe" "$tide" model describe "$model"
check "with every input" sh -c "[ \$(grep -c '^    reason ' '$out') = \$(grep -c '^[a-z]' '$inputs') ]"
sed 's/attempts: count over ladder with current/attempts: count over ladder/; s/idle: time since previous/idle: time since previous where result != declined/' \
  "$features" >"$tmp/other.yaml"
exits 1 "model check against other definitions" "$tide" model check "$model" --features "$tmp/other.yaml"
check "names what differs" sh -c "[ \"\$(grep -c '^  trained on' '$out')\" = 3 ] && grep -q '^card.idle\$' '$out'"

"$tide" generate --seed 31 --transactions 6000 --days 20 --duplicates 2 --out-of-order 2 --output "$tmp/log.jsonl" 2>/dev/null
delay=0s
train() { # OUTPUT OPTIONS...
  local output=$1
  shift
  "$tide" train --features "$features" --dev-key --log-level error --input "$tmp/log.jsonl" --output "$output" --label-delay "$delay" "$@"
}
exits 0 "train" train "$tmp/m1.json" --inputs "$inputs" --json
check "it reports its measures" grep -q '"average_precision":0\.' "$out"
train "$tmp/m2.json" --inputs "$inputs" >/dev/null
same "twice the same bytes" "$tmp/m1.json" "$tmp/m2.json"
exits 0 "without a list it takes everything" train "$tmp/wide.json" --name wide
exits 0 "that is a model too" "$tide" model check "$tmp/wide.json" --features "$features"
printf 'card.attempts_10n\n' >"$tmp/bad.inputs"
exits 3 "a wrong input" train "$tmp/bad.json" --inputs "$tmp/bad.inputs"
says "names the nearest" "line 1: .*did you mean card.attempts_10m"
delay=400d
exits 3 "labels that take longer than the log" train "$tmp/bad.json"
says "say so" "too young for their label"
exits 3 "an empty log" "$tide" train --features "$features" --dev-key --input /dev/null --output "$tmp/bad.json"
says "has no rows" "no row is left: of 0 decisions"
exits 2 "no penalty" train "$tmp/bad.json" --l2 0
check "and leave no file" test ! -e "$tmp/bad.json"

# --- replay
replay="$tide replay --features $features --dev-key --log-level error --input $tmp/log.jsonl"
exits 0 "replay without a model" $replay --output "$tmp/plain"
exits 0 "replay with it" $replay --output "$tmp/scored" --model "$model"
check "scores are numbers" sh -c "[ \$(grep -c '\"score\":[0-9]' '$tmp/scored') -gt 5900 ]"
for f in plain scored; do sed 's/"score":[^,]*,//; s/"position":"[^"]*",//; s/"first_position":"[^"]*",//' "$tmp/$f" >"$tmp/$f.bare"; done
same "a shadow rule changes nothing else" "$tmp/plain.bare" "$tmp/scored.bare"
sed 's/M01: shadow decline when score >= 0.90/M01: decline when score >= 0.20/' "$features" >"$tmp/live.yaml"
live="$tide replay --features $tmp/live.yaml --dev-key --log-level error --input $tmp/log.jsonl"
exits 0 "a rule that decides" $live --output "$tmp/live" --model "$model"
check "declines, with the model's reasons" sh -c "grep '\"by\":\"M01\"' '$tmp/live' | grep -q '\"code\":\"M01\",\"text\":\"the model.s score is 0\.[2-9].*},{\"code\":\"[a-z.]*[a-z_0-9]*\",\"text\":\".*\"feature\":'"
exits 0 "without a model" $live --output "$tmp/unscored"
check "that rule is unknown" grep -q '"status":"refused".*"cause":"score","detail":"the model.s score was refused; rule M01 could not be answered"' "$tmp/unscored"
exits 5 "a model for other definitions" "$tide" replay --features "$tmp/other.yaml" --dev-key --input "$tmp/log.jsonl" --model "$model"
says "is refused by name" "card.attempts_5m, card.attempts_24h, card.idle"
sed 's/"intercept":-/"intercept":-1/' "$model" >"$tmp/touched.json"
exits 5 "a model that was touched" $replay --model "$tmp/touched.json"
says "is refused" "checksum"
exits 0 "backtest with a model" "$tide" backtest --rules "$tmp/live.yaml" --features "$features" --input "$tmp/log.jsonl" --dev-key --model "$model"
check "shows what it would do" grep -Eq 'approve +-> decline' "$out"

# --- the journal keeps to its model
head -n 5000 "$tmp/log.jsonl" >"$tmp/begin.jsonl"
journal="--journal file:$tmp/journal --snapshot-every 5 --batch 200"
exits 0 "the whole log" $replay --output "$tmp/whole" --model "$model" --batch 200
exits 0 "half of it, through a journal" "$tide" replay --features "$features" --dev-key --log-level error --input "$tmp/begin.jsonl" --output "$tmp/run" \
  --model "$model" $journal
cp "$tmp/run" "$tmp/half"
exits 3 "going on without the model is refused" $replay --output "$tmp/run" $journal
says "by name" "written with the model issuer-default@[0-9a-f]{8} and this run has none"
exits 3 "so is going on with another" $replay --output "$tmp/run" $journal --model "$tmp/m1.json"
exits 3 "also where a snapshot cannot be used" $replay --output - $journal --model "$tmp/m1.json"
same "and nothing was written" "$tmp/half" "$tmp/run"
exits 0 "going on with the same" $replay --output "$tmp/run" $journal --model "$model"
sed 's/"position":"[^"]*",//; s/"first_position":"[^"]*",//' "$tmp/whole" >"$tmp/whole.bare"
sed 's/"position":"[^"]*",//; s/"first_position":"[^"]*",//' "$tmp/run" >"$tmp/run.bare"
same "gives what an uninterrupted run gives" "$tmp/whole.bare" "$tmp/run.bare"
exits 0 "audit needs no model file" "$tide" audit --journal "file:$tmp/journal" --decisions "$tmp/run"
exits 0 "inspect shows the record" "$tide" inspect "$tmp/journal" --records --from 1-1 --limit 1
check "with the model's name" grep -Eq '"type":"artifact","bytes":[0-9]+,"kind":"model","name":"issuer-default","hash":"[0-9a-f]{64}","content_bytes":[0-9]+,"model":"issuer-default@[0-9a-f]{8}","version":"1","inputs":30' "$out"
id=$(grep -E '"score":0\.9' "$tmp/run" | grep '"duplicate":false' | head -n 1 | sed 's/^{"id":"\([^"]*\)".*/\1/')
score=$(grep -F "\"$id\"" "$tmp/run" | head -n 1 | sed 's/.*"score":\([^,]*\),.*/\1/')
exits 0 "explain" "$tide" explain "$id" --journal "file:$tmp/journal"
check "says the score and why" sh -c "grep -Eq 'model issuer-default@[0-9a-f]{8}: score $score' '$out' && grep -Eq '^    \+[0-9.]+  ' '$out'"
exits 0 "a journal without a model" $replay --output "$tmp/none" --journal "file:$tmp/none.journal"
exits 3 "does not go on with one" $replay --output "$tmp/none" --journal "file:$tmp/none.journal" --model "$model"
says "by name" "written with no model and this run has the model"
done_testing
