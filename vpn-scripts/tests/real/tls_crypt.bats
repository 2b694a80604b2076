#!/usr/bin/env bats
# Each client's own tls-crypt-v2 key, with a real OpenVPN server and real clients: who may
# not come in is refused before TLS, and so is everybody when that cannot be told. The tests
# of this file are one story, in this order.

setup_file() {
  load ../helper
  load ../world
  load ../tunnel
  make_tunnel --static-addresses 10
}

teardown_file() {
  load ../helper
  load ../world
  end_world
}

setup() {
  load ../helper
  load ../world
  load ../tunnel
  use_tunnel
}

# As the version before left it: one tls-crypt key for all, and a client that has it.
make_old_host() {
  in_world openvpn --genkey tls-crypt "$state/server/tc.key"
  chmod 600 "$state/server/tc.key"
  {
    cat "$state/etc/profile.part"
    printf '<tls-crypt>\n%s\n</tls-crypt>\n' "$(<"$state/server/tc.key")"
  } >"$state/etc/profile-head.part"
  client_of old b
  issued
  sed -i -e '/^<tls-crypt-v2>$/,/^<\/tls-crypt-v2>$/d' -e "/^<cert>\$/e printf '<tls-crypt>\\\\n'; cat $state/server/tc.key; printf '</tls-crypt>\\\\n'" "$state/issued/$serial"
  cp "$state/issued/$serial" "$profile"
  rm -r "$state/pub/admitted" "$state/server/tls-crypt-v2.key" "$state/etc/profile.part"
}

upgrade() {
  in_world "$shell" "$BATS_FILE_TMPDIR/libexec/setup" --state "$state" --remote 192.0.2.1 --local 192.0.2.1 \
    --management "$BATS_FILE_TMPDIR/m" --pidfile "$BATS_FILE_TMPDIR/pid" --scripts "$BATS_FILE_TMPDIR/libexec" --static-addresses 10 "$@"
}

comes_in() {
  start_client
  connected
  reachable
  end_client
}

stays_out() { # PATTERN of the server's log
  : >"$log"
  start_client
  wait_for "the refusal: $1" grep -q "$1" "$log"
  end_client
  run ! grep -q 'Initialization Sequence Completed' "$client_log"
}

@test "a host with one tls-crypt key for all is upgraded: old profiles go on, new ones have their own" {
  make_old_host
  grep -q '^<tls-crypt>$' "$profile"
  run -0 upgrade
  start_server
  comes_in
  issue
  [ "$(value replayed)" = 1 ]
  payload | cmp - "$profile"
  client_of alice a
  issued
  run ! grep -q '^<tls-crypt>$' "$profile"
  comes_in
  serve < <(request verb=check)
  expect 0
}

@test "the shared key goes with the last profile that needs it" {
  run -0 upgrade
  grep -q '^tls-crypt ' "$state/server/openvpn.conf"
  client_of old b
  ask revoke
  expect 0
  run -0 upgrade
  run ! grep -q '^tls-crypt ' "$state/server/openvpn.conf"
  [ ! -e "$state/server/tc.key" ]
  [ ! -e "$state/etc/profile-head.part" ]
  restart_server
  stays_out 'tls-crypt\|TLS Error'
  client_of alice a
  comes_in
}

@test "while the admitted serials cannot be read, everybody is refused, and check says so" {
  client_of alice a
  chmod 700 "$state/pub/admitted"
  stays_out "refused: the serial $serial is not admitted"
  serve < <(request verb=check)
  expect 70 'pub/admitted has mode 700; chmod it to 711'
  chmod 711 "$state/pub/admitted"
  rm "$state/pub/admitted/$serial"
  stays_out "refused: the serial $serial is not admitted"
  serve < <(request verb=check)
  expect 70 'install.sh, which puts them back'
  run -0 upgrade
  comes_in
}

@test "while its script cannot be run, OpenVPN refuses everybody" {
  client_of alice a
  local script=$BATS_FILE_TMPDIR/libexec/tls-crypt-v2-verify
  mv "$script" "$script.away"
  stays_out 'TLS CRYPT V2 VERIFY SCRIPT ERROR'
  mv "$script.away" "$script"
  chmod 700 "$script"
  stays_out 'TLS CRYPT V2 VERIFY SCRIPT ERROR'
  chmod 755 "$script"
  comes_in
}

@test "a key that was made elsewhere, or for nothing, is refused" {
  client_of alice a
  cp "$profile" "$profile.good"
  local other=$BATS_TEST_TMPDIR/other metadata
  in_world openvpn --genkey tls-crypt-v2-server "$other.server"
  # The server's own key, without a serial, and with what is none; then the key of another server.
  for metadata in '' MTAwMDA= "$(printf '../../%026d\n' 0 | base64 -w 0)"; do
    # shellcheck disable=SC2086 # none, or one
    in_world openvpn --tls-crypt-v2 "$state/server/tls-crypt-v2.key" --genkey tls-crypt-v2-client "$other.key" $metadata
    with_key "$other.key"
    stays_out 'refused: the key is not for a serial of this host'
  done
  in_world openvpn --tls-crypt-v2 "$other.server" --genkey tls-crypt-v2-client "$other.key" "$(printf '%s\n' "$serial" | base64 -w 0)"
  with_key "$other.key"
  stays_out 'client key authentication error\|Can not unwrap tls-crypt-v2'
  mv "$profile.good" "$profile"
  comes_in
}

with_key() { # FILE
  {
    sed '/^<tls-crypt-v2>$/,/^<\/tls-crypt-v2>$/d' "$profile.good"
    printf '<tls-crypt-v2>\n%s\n</tls-crypt-v2>\n' "$(<"$1")"
  } >"$profile"
}

@test "the metadata's file is gone after the handshake" {
  run -0 in_world find "$(sed -n 's/^tmp-dir //p' "$state/server/openvpn.conf")" -maxdepth 1 -user nobody -name 'openvpn_*'
  [ -z "$output" ]
}

@test "a client gets its address and its routes, and others none of them" {
  client_of frank f
  ask issue "days=$days" address=10.88.0.250 route=10.20.0.0/16
  expect 0
  payload >"$profile"
  start_client
  connected
  in_world ip -n there -brief address show dev tun-frank | grep -q ' 10.88.0.250/24'
  in_world ip -n there route show 10.20.0.0/16 | grep -q 'dev tun-frank'
  reachable
  client_of alice a
  start_client
  connected
  in_world ip -n there -brief address show dev tun-alice | grep -q ' 10.88.0.2/24'
  [ -z "$(in_world ip -n there route show 10.20.0.0/16 dev tun-alice)" ]
  end_client
  client_of frank f
  ask revoke
  expect 0
  end_client
}

@test "over TCP as well: who is issued comes in, who is revoked is refused before TLS" {
  run -0 upgrade --proto tcp
  restart_server
  client_of dave d
  issued
  grep -qx 'proto tcp' "$profile"
  start_client
  connected
  reachable
  ask revoke
  expect 0
  ask kill
  expect 0
  [ "$(value server) $(value killed) $(value open)" = 'running 1 0' ]
  end_client
  : >"$log"
  start_client
  refused_before_tls
  end_client
  client_of erin e
  issued
  comes_in
}
