# Help is complete: every verb and option that the tables have is shown, with its default; the reference page agrees with the tables.
# The checks are in tests/e2e/tap.sh, which prints TAP.
. tests/e2e/tap.sh

exits 0 "tidemark --help" "$tide" --help
cp "$out" "$tmp/program"
verbs=$(awk '/^Verbs:/ {on = 1; next} /^$/ {on = 0} on {print substr($0, 3, 20)}' "$tmp/program" | sed 's/ *$//; s/ /_/g')
check "there are verbs" test "$(echo "$verbs" | wc -w)" -ge 12
check "exit codes are listed" grep -q '^  70 ' "$tmp/program"

"$tide" docs options >"$tmp/reference"
for verb in $verbs; do
  words=$(echo "$verb" | tr _ ' ')
  # shellcheck disable=SC2086
  exits 0 "$words --help" "$tide" $words --help
  cp "$out" "$tmp/help"
  check "$words: usage, options, example, exit codes" test "$(grep -Ec '^(Usage:|Options:|Example:|Exit codes:)' "$tmp/help")" = 4
  # The reference's section of this verb and its help name the same options.
  awk -v verb="### $words" '$0 == verb {on = 1; next} /^##/ {on = 0} on' "$tmp/reference" | sed -n 's/^| `\(--[a-z-]*\).*/\1/p' | sort >"$tmp/documented"
  sed -n 's/^  \(--[a-z-]*\).*/\1/p' "$tmp/help" | grep -vx -e --help -e --log-level | sort >"$tmp/helped"
  same "$words: help and reference list the same options" "$tmp/documented" "$tmp/helped"
done
check "defaults are shown" sh -c "'$tide' replay --help | grep -A2 -- '--lateness' | grep -q 'default: 7d'"
exits 0 "a group of verbs has help" "$tide" keys --help
check "it lists its verbs" grep -q '^  keys rotate' "$out"
exits 0 "version" "$tide" --version
# Who reads the README has run it: the transaction of the examples is the one that `make run` explains, and the version is that of the feature file that ships.
id=$("$tide" explain --help | sed -n 's/^ *tidemark explain \([^ ]*\) --journal .*/\1/p' | head -n 1)
check "the transaction of explain's example is that of the README" grep -q "^Transaction $id\$" README.md
version=$("$tide" features budget "$features" | sed -n 's/.* of \(issuer-default@[0-9a-f]*\)$/\1/p')
check "the feature file has a version" test -n "$version"
check "the README names no other" test "$(grep -o 'issuer-default@[0-9a-f]*' README.md | sort -u)" = "$version"
"$tide" features budget "$features" | sed -n '/^card:/,/^$/p' | grep . >"$tmp/budget"
sed -n '/^card: [0-9]/,/^  last hour/p' README.md | grep -v '^  last hour' >"$tmp/budget.readme"
same "the README shows the budget of the card as it is" "$tmp/budget" "$tmp/budget.readme"
same "the reference page in the repository is up to date (make docs)" "$tmp/reference" config/REFERENCE.md
done_testing
