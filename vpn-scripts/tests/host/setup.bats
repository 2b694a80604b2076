#!/usr/bin/env bats
# setup: makes a state directory, and never unmakes one.

setup_file() {
  load ../helper
  make_template
}

setup() {
  load ../helper
  use_template
}

# make_state OPTION...: on the test's state directory.
make_state() {
  "$shell" "$libexec/setup" --state "$state" --remote vpn.example.net --management none "$@"
}

conf() { "$shell" "$libexec/setup" --state "$state" --remote vpn.example.net --print-server-conf "$@"; }

@test "a second run keeps keys, identity and everything issued" {
  issue
  payload >"$BATS_TEST_TMPDIR/first"
  cat "$state"/ca/* "$state"/server/server.* "$state/server/tls-crypt-v2.key" "$state/revoked.log" >"$BATS_TEST_TMPDIR/kept"
  run -0 make_state
  cat "$state"/ca/* "$state"/server/server.* "$state/server/tls-crypt-v2.key" "$state/revoked.log" | cmp - "$BATS_TEST_TMPDIR/kept"
  [[ $output == *"$(grep host_id "$state/etc/host.conf")"* ]]
  issue
  [ "$(value replayed)" = 1 ]
  payload | cmp - "$BATS_TEST_TMPDIR/first"
}

@test "a new address is for new profiles" {
  run -0 make_state --remote other.example.net --port 443 --proto tcp
  issue
  payload >"$BATS_TEST_TMPDIR/profile"
  grep -qx 'remote other.example.net 443' "$BATS_TEST_TMPDIR/profile"
  grep -qx 'proto tcp' "$BATS_TEST_TMPDIR/profile"
  run ! grep -q explicit-exit-notify "$BATS_TEST_TMPDIR/profile"
}

@test "without its CA a directory with certificates is an alarm, not a new CA" {
  issue
  rm "$state/ca/ca.key"
  run -70 make_state
  [[ $output == *'restore ca/ from the backup'* ]]
}

@test "a directory of a newer version is refused" {
  sed -i 's/^layout=1/layout=2/' "$state/etc/host.conf"
  run -70 make_state
  [[ $output == *newer* ]]
}

@test "a setup that was cut short is finished by the next" {
  use_shims
  local n=0
  while
    n=$((n + 4))
    rm -rf "$state"
    with_shim before "$n" "$shell" "$libexec/setup" --state "$state" --remote vpn.example.net --management none >/dev/null 2>&1
  do
    echo "# killed at $n: $(<"$BATS_TEST_TMPDIR/shim/fired")"
    run -0 make_state
    serve < <(request verb=check)
    expect 0
  done
  [ "$n" -gt 20 ]
}

@test "the configuration says what was asked, and is fit for OpenVPN" {
  run -0 conf --port 443 --proto tcp --network 10.9.0.0/20 --local 192.0.2.1 --dev tun7 --management /run/x.sock --pidfile /run/x.pid --ssh-user root
  local line
  for line in 'port 443' 'proto tcp' 'server 10.9.0.0 255.255.240.0 nopool' 'local 192.0.2.1' 'dev tun7' 'tcp-nodelay' 'user nobody' \
    'management "/run/x.sock" unix' 'management-client-user root' 'writepid "/run/x.pid"' "crl-verify \"$state/pub/crl.pem\"" 'verify-client-cert require'; do
    grep -qxF "$line" <<<"$output"
  done
}

# refused OPTION...: as bad usage, and nothing is made.
refused() {
  echo "# $*"
  run -64 "$shell" "$libexec/setup" --state "$BATS_TEST_TMPDIR/new" --remote vpn.example.net "$@"
  [ ! -e "$BATS_TEST_TMPDIR/new" ]
}

@test "options that are not plain are refused" {
  local bad
  for bad in '' / relative '/a b' '/a"b' '/a/../b' '/a/./b' '/a//b' '/a/' $'/a\nb' '/a;b' '/ä'; do
    refused --state "$bad"
    refused --management "$bad"
    refused --pidfile "$bad"
  done
  for bad in '' 'a b' '-x' 'a"b' $'a\nb' 'a;b' 'a_b'; do refused --remote "$bad"; done
  for bad in 0 65536 x '' -1 0080; do refused --port "$bad"; done
  for bad in 0 3651 x ''; do refused --crl-days "$bad"; done
  for bad in '' sctp UDP; do refused --proto "$bad"; done
  for bad in '' tap tap0 tunx 'tun 1' tun12345; do refused --dev "$bad"; done
  for bad in 10.8.0.0 10.8.0.0/15 10.8.0.0/30 10.8.0.1/24 10.8.0/24 10.8.0.0.0/24 256.0.0.0/24 10.08.0.0/24 a/24 10.8.0.0/24/24 '' '10.8.0.0/ 24'; do
    refused --network "$bad"
  done
  refused --openvpn-user no-such-user
  refused --unknown x
  refused --port
}
