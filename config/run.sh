#!/bin/sh
# What `make run` does: a sample log, replayed through a file journal, and one declined transaction explained. Everything is under build/run.
# TRANSACTIONS and SEED change the log.
set -eu
tide=build/tidemark
dir=build/run
features=config/defaults/features.yaml
transactions=${TRANSACTIONS:-200000}
seed=${SEED:-42}
mkdir -p $dir
rm -rf $dir/journal $dir/decisions.jsonl $dir/rejects.jsonl

say() { printf '\n$ %s\n' "$*"; }

say tidemark generate --seed "$seed" --transactions "$transactions" --duplicates 1 --out-of-order 2 --late 0.1 --reused-ids 0.2 --bad 0.1 --output $dir/log.jsonl
$tide generate --seed "$seed" --transactions "$transactions" --duplicates 1 --out-of-order 2 --late 0.1 --reused-ids 0.2 --bad 0.1 --output $dir/log.jsonl

say tidemark replay --features $features --input $dir/log.jsonl --output $dir/decisions.jsonl --journal file:$dir/journal --rejects $dir/rejects.jsonl --dev-key --summary
$tide replay --features $features --input $dir/log.jsonl --output $dir/decisions.jsonl --journal file:$dir/journal --rejects $dir/rejects.jsonl --dev-key --summary

# The last decline by a rule that counts: its card has a history worth looking at.
id=$(grep '"decision":"decline","by":"[VTSA]' $dir/decisions.jsonl | tail -n 1 | sed 's/^{"id":"\([^"]*\)".*/\1/')
if [ -z "$id" ]; then
  echo "Nothing was declined by a rule, so there is nothing to explain."
  exit 0
fi
say tidemark explain "$id" --journal file:$dir/journal --events 5
$tide explain "$id" --journal file:$dir/journal --events 5

printf '\nIn %s: log.jsonl, decisions.jsonl, rejects.jsonl, journal. Next: tidemark --help, or README.md.\n' "$dir"
