# Shared by the shell tests: TAP output and a few helpers. Sourced, not run.
#
#   check NAME COMMAND...       passes when the command succeeds
#   exits CODE NAME COMMAND...  passes when it exits with CODE; its output is in $out and $err
#   done_testing                prints the plan
set -u
tide=${TIDE_BIN:-build/tidemark}
root=$(pwd)
tmp=${TIDE_TMP:-$(mktemp -d)}
features=$root/config/defaults/features.yaml
out=$tmp/out
err=$tmp/err
count=0
failures=0
unset TIDEMARK_HASH_KEY

result() { # NAME CODE
  count=$((count + 1))
  if [ "$2" = 0 ]; then
    echo "ok $count - $1"
  else
    failures=$((failures + 1))
    echo "not ok $count - $1"
  fi
}

check() {
  local name=$1 code=0
  shift
  "$@" || code=1
  result "$name" "$code"
}

exits() {
  local want=$1 name=$2 code=0
  shift 2
  "$@" >"$out" 2>"$err" </dev/null || code=$?
  if [ "$code" != "$want" ]; then
    echo "# exit code $code, expected $want: $*"
    sed 's/^/# /' "$err" | head -n 20
    result "$name" 1
  else
    result "$name" 0
  fi
}

says() { # NAME PATTERN: what exits saw on stderr
  local code=0
  grep -Eq -- "$2" "$err" || code=1
  if [ "$code" != 0 ]; then sed 's/^/# /' "$err" | head -n 5; fi
  result "$1" "$code"
}

same() { # NAME FILE FILE
  local code=0
  cmp "$2" "$3" >"$tmp/cmp" 2>&1 || code=1
  if [ "$code" != 0 ]; then sed 's/^/# /' "$tmp/cmp"; fi
  result "$1" "$code"
}

# All entries of a journal with their headers, and all records. The files themselves differ from run to run: a log has a random id, and a frame
# tells how far the disk had got.
dump() { # JOURNAL FILE
  "$tide" inspect "$1" >"$2" 2>/dev/null && "$tide" inspect --records "$1" >>"$2" 2>/dev/null
}

done_testing() {
  echo "1..$count"
  [ "$failures" = 0 ]
}
