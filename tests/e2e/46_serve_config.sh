#!/bin/sh
# tidemark serve and the operator's configuration: the file, the environment, what is printed, and what a running engine takes on SIGHUP.
. tests/e2e/tap.sh
cat >"$tmp/tidemark.yaml" <<Y
features: {file: $features}
keys: {development: true}
journal: {dir: $tmp/journal}
snapshot: {every: 0s}
http: {port: 0, admin_port: 0}
log: {level: info, limit: 0}
Y
exits 0 "the effective configuration" "$tide" serve --config "$tmp/tidemark.yaml" --cell eu --print-config
check "has the file's values and their place" grep -Eq "admin_port: 0 +# .*tidemark.yaml:5" "$out"
check "and those of the command line" grep -Eq "name: eu +# --set" "$out"
cp "$out" "$tmp/printed.yaml"
exits 0 "reads back" "$tide" serve --config "$tmp/printed.yaml" --print-config
check "to the same values" sh -c "sed 's/ *#.*//' '$tmp/printed.yaml' >'$tmp/a'; sed 's/ *#.*//' '$out' >'$tmp/b'; cmp '$tmp/a' '$tmp/b'"
exits 3 "no feature file" "$tide" serve --set journal.kind=memory
says "says which row to set" "features.file is not set"
exits 3 "an unknown row" "$tide" serve --features "$features" --set http.prot=1
says "suggests the right one" "http.port"
exits 4 "a model that is not there" "$tide" serve --config "$tmp/tidemark.yaml" --model "$tmp/none.json"

start() {
  "$tide" serve --config "$tmp/tidemark.yaml" >"$tmp/ready" 2>"$tmp/log" &
  pid=$!
  for i in $(seq 1200); do
    grep -q ready "$tmp/ready" && break
    sleep 0.05
  done
}
waits_for() { # PATTERN in the log
  for i in $(seq 1200); do
    grep -Eq "$1" "$tmp/log" && return 0
    sleep 0.05
  done
  return 1
}
start
check "it serves from the file" grep -q "ready on http://127.0.0.1:" "$tmp/ready"
sed -i 's/every: 0s/every: 50ms/; s/level: info/level: debug/' "$tmp/tidemark.yaml"
kill -HUP $pid
check "a reload takes what is reloadable" waits_for 'event=reloaded changed=2'
check "and a snapshot is written by a child" waits_for 'event=snapshot position=1-'
check "whose pause is told" grep -q 'event=snapshot_begun pause_ms=' "$tmp/log"
sed -i 's/port: 0, admin/port: 1, admin/' "$tmp/tidemark.yaml"
kill -HUP $pid
check "a reload that needs a start is refused by name" waits_for 'event=reload_refused .*http.port'
echo 'http: [' >>"$tmp/tidemark.yaml"
kill -HUP $pid
check "and one with mistakes too" waits_for 'event=reload_refused .*mistakes'
kill -TERM $pid
wait $pid
check "it ends cleanly" test $? = 0
check "the snapshots are with the journal" test -n "$(ls "$tmp/journal/snapshots")"
done_testing
