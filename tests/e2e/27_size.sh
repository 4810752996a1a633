#!/bin/sh
# tidemark size: a table that adds up, populations that can be given, mistakes that are said.
. tests/e2e/tap.sh
exits 0 "the shipped file" "$tide" size --features "$features" --cards 1000000 --per-month 10 --json
cp "$out" "$tmp/all"
check "its kinds add up" python3 - "$tmp/all" <<'P'
import json, sys
size = json.load(open(sys.argv[1]))
assert len(size["entities"]) == 10 and size["entities"][0]["name"] == "card"
assert abs(sum(e["bytes"] for e in size["entities"]) - size["bytes"]) < 1
assert all(e["bytes"] > 0 for e in size["entities"])
P
exits 0 "a population of its own" "$tide" size --features "$features" --cards 1000000 --per-month 10 --population merchant=80000:0.5 --json
check "is used, and nothing else changes" python3 - "$tmp/all" "$out" <<'P'
import json, sys
a, b = (json.load(open(p))["entities"] for p in sys.argv[1:])
for x, y in zip(a, b):
    if x["name"] == "merchant":
        assert y["entities"] == 80000 and y["share"] == 0.5 and not y["assumed"] and y["bytes"] != x["bytes"]
    else:
        assert x == y
P
exits 0 "as a table" "$tide" size --features "$features" --cards 1000 --per-month 2.5
check "with a sum" grep -q '^in all' "$out"
exits 2 "an unknown entity" "$tide" size --features "$features" --cards 1000 --per-month 10 --population shop=3
says "is named" 'no entity is called "shop"'
exits 2 "a share above one" "$tide" size --features "$features" --cards 1000 --per-month 10 --population merchant=3:2
says "is explained" 'SHARE one from 0 to 1'
done_testing
