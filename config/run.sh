#!/bin/sh
# What `make run` does: a sample log, replayed through a file journal, one declined transaction explained, and one message scored over HTTP. Everything is under build/run.
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
else
  say tidemark explain "$id" --journal file:$dir/journal --events 5
  $tide explain "$id" --journal file:$dir/journal --events 5
fi

# The same over HTTP, on free ports: one message in, one decision out, and a clean stop.
say tidemark serve --features $features --journal file:$dir/served --dev-key --listen 127.0.0.1:0 --admin 127.0.0.1:0
rm -rf $dir/served
$tide serve --features $features --journal file:$dir/served --dev-key --listen 127.0.0.1:0 --admin 127.0.0.1:0 >$dir/serve.out 2>$dir/serve.log &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
tries=0
until grep -q ready $dir/serve.out; do
  tries=$((tries + 1))
  if [ $tries -gt 100 ] || ! kill -0 $server 2>/dev/null; then
    cat $dir/serve.log >&2
    exit 1
  fi
  sleep 0.1
done
cat $dir/serve.out
url=$(sed 's/.*ready on \(http:[^,]*\),.*/\1/' $dir/serve.out)
message=$(grep -m 1 '"type":"auth"' $dir/log.jsonl)
printf '\n$ POST %s/v1/score\n%s\n\n' "$url" "$message"
python3 - "$url" "$message" <<'END'
import sys
import urllib.request
request = urllib.request.Request(sys.argv[1] + "/v1/score", sys.argv[2].encode(), {"Content-Type": "application/json", "Tidemark-Timeout-Ms": "5000"})
print(urllib.request.urlopen(request, timeout=10).read().decode())
END
kill -TERM $server
wait $server
trap - EXIT
echo "The server has stopped cleanly."

printf '\nIn %s: log.jsonl, decisions.jsonl, rejects.jsonl, journal, served. Next: tidemark --help, or README.md.\n' "$dir"
