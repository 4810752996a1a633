#!/bin/sh
# The program for bench_http, with `serve` on a new Redis journal (q = N = 2) instead of the file journal that the benchmark names:
#
#   python3 tests/support/with_redis.py /tmp 2 env TIDE_BIN=bench/tidemark_on_redis.sh build/bench/bench_http
#
# Every start begins a cell of its own: the benchmark sends the same transactions to each server.
set -eu
real=build/tidemark
if [ "${1:-}" != serve ]; then exec "$real" "$@"; fi
user_of() { echo "$1" | sed 's,^redis://\([^:]*\):.*,\1,'; }
place_of() { echo "$1" | sed 's,.*@,,'; }
password_of() { echo "$1" | sed 's,^redis://[^:]*:\([^@]*\)@.*,\1,'; }
password=$(mktemp)
restore=$(mktemp)
password_of "$TIDE_REDIS_URL" >"$password"
password_of "$TIDE_REDIS_RESTORE_URL" >"$restore"
snapshots=""
count=$#
while [ "$count" -gt 0 ]; do # the arguments again, in order, with another journal
  word=$1
  shift
  case $word in
  file:*)
    snapshots=${word#file:}/snapshots
    word="redis://$(user_of "$TIDE_REDIS_URL")@$(place_of "$TIDE_REDIS_URL")"
    ;;
  esac
  set -- "$@" "$word"
  count=$((count - 1))
done
mkdir -p "$snapshots"
redis-cli --no-auth-warning -u "$TIDE_REDIS_ADMIN_URL" DEL 'tidemark:{default}:journal' >/dev/null
"$real" init --journal "redis://tidemark-restore@$(place_of "$TIDE_REDIS_URL")" --set journal.password_file="$restore" >/dev/null
rm -f "$restore"
exec "$real" "$@" --set journal.password_file="$password" --set snapshot.dir="$snapshots"
