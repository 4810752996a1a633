#!/bin/sh
# The systemd unit: well-formed, and as closed as systemd itself can tell. Where systemd-analyze is not installed only the text is looked at.
. tests/e2e/tap.sh
unit="config/systemd/tidemark@.service"
for line in NoNewPrivileges=yes CapabilityBoundingSet= ProtectSystem=strict DynamicUser=yes MemoryDenyWriteExecute=yes LimitCORE=0 "ExecReload=/bin/kill -HUP \$MAINPID"; do
  check "the unit says $line" grep -qxF "$line" "$unit"
done
check "it starts serve with the instance's file" grep -qxF "ExecStart=/usr/bin/tidemark serve --config /etc/tidemark/%i.yaml" "$unit"
if command -v systemd-analyze >/dev/null 2>&1; then
  sed "s,^ExecStart=/usr/bin/tidemark,ExecStart=$(realpath "$tide")," "$unit" >"$tmp/tidemark@.service"
  exits 0 "systemd-analyze verifies it" systemd-analyze verify --man=no "$tmp/tidemark@.service"
  check "without a word" test ! -s "$err"
  exits 0 "its exposure is at most 2.0 of 10" systemd-analyze security --offline=yes --threshold=20 "$tmp/tidemark@.service"
else
  count=$((count + 1))
  echo "ok $count - systemd-analyze verifies it # SKIP systemd-analyze is not installed"
fi
done_testing
