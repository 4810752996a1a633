#!/bin/sh
# The exact commands that made config/defaults/model.json: a generated log, then train. The same program and feature file give the same bytes; a
# test runs this and compares. After a change of the feature file or the inputs that is meant: make default-model.
#
#   sh config/model.sh DIRECTORY OUTPUT      the log goes into DIRECTORY, the model to OUTPUT
set -eu
tide=${TIDE_BIN:-build/tidemark}
$tide generate --seed 2026 --transactions 200000 --days 60 --duplicates 1 --out-of-order 2 --output "$1/model-log.jsonl"
$tide train --features config/defaults/features.yaml --inputs config/defaults/model.inputs --input "$1/model-log.jsonl" --dev-key \
  --name issuer-default --model-version 1 --skip 7d --label-delay 30d --split 0.8 --l2 1 --output "$2"
rm -f "$1/model-log.jsonl"
