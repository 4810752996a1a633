#!/bin/sh
# Prints how much of each source the tests just run have covered: coverage.sh OBJECT_DIRECTORY SOURCE...
#
# It reads gcov's own summaries (no further tool) and sorts the least covered first, because that is what one looks for.
set -eu
obj=$1
shift
for source in "$@"; do
  data=$obj/${source%.c}.gcda
  if [ -e "$data" ]; then
    gcov -n "$data" 2>/dev/null | awk -v want="$source" '
      /^File / { file = $2; gsub("\047", "", file) }
      /^Lines executed/ && file == want { split($2, a, ":"); sub("%", "", a[2]); printf "%7.2f %6d %s\n", a[2], $4, want; exit }'
  else
    printf '%7.2f %6s %s\n' 0 '?' "$source"
  fi
done | sort -n | awk 'BEGIN { print "covered  lines  file" }
  { print $1 "%  " $2 "  " $3; lines += $2; hit += $1 * $2 / 100 }
  END { if (lines) printf "%.1f %% of %d lines\n", 100 * hit / lines, lines }'
