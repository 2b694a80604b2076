#!/usr/bin/env bats
# A real OpenVPN server and real clients, in namespaces: who is issued gets in, who is
# revoked is thrown out and kept out.

setup_file() {
  load ../helper
  load ../world
  make_world
  make_template --remote 192.0.2.1 --local 192.0.2.1 --management "$BATS_FILE_TMPDIR/m" --pidfile "$BATS_FILE_TMPDIR/pid"
  mv "$BATS_FILE_TMPDIR/template" "$BATS_FILE_TMPDIR/state"
  sed -i "s|$BATS_FILE_TMPDIR/template|$BATS_FILE_TMPDIR/state|" "$BATS_FILE_TMPDIR/state/server/openvpn.conf"
  # Two machines and a wire.
  in_world bash -eu -c '
    ip netns add there
    ip link add here0 type veth peer name there0 netns there
    ip address add 192.0.2.1/30 dev here0
    ip link set here0 up
    ip -n there address add 192.0.2.2/30 dev there0
    ip -n there link set there0 up'
  start_server
}

teardown_file() {
  load ../helper
  load ../world
  end_world
}

setup() {
  load ../helper
  load ../world
  serve_by=in_world # process numbers mean something there only
  state=$BATS_FILE_TMPDIR/state
  log=$BATS_FILE_TMPDIR/server.log
}

start_server() {
  in_world openvpn --config "$BATS_FILE_TMPDIR/state/server/openvpn.conf" --log-append "$BATS_FILE_TMPDIR/server.log" --daemon
  wait_for 'the server' grep -q 'Initialization Sequence Completed' "$BATS_FILE_TMPDIR/server.log"
}

# client_of NAME LETTER: everything that this client's requests need.
client_of() {
  name=$1 serial=4${2^^}234567890ABCDEF01234567890ABCD client=cli_0123456789abcdef0123456789abcde$2
  profile=$BATS_FILE_TMPDIR/$name.ovpn client_log=$BATS_FILE_TMPDIR/$name.log
}

issued() {
  issue
  expect 0
  payload >"$profile"
}

# start_client: with the profile of the current client.
start_client() {
  : >"$client_log"
  in_world ip netns exec there openvpn --config "$profile" --dev "tun-$name" --log "$client_log" --writepid "$client_log.pid" --daemon
}

end_client() {
  in_world kill -9 "$(<"$client_log.pid")"
}

connected() {
  wait_for "$name to connect: $client_log" grep -q 'Initialization Sequence Completed' "$client_log"
}

listed() {
  serve < <(request verb=sessions)
  expect 0
  payload | cut -d ' ' -f 1 | sort -u | paste -s -d ' '
}

reachable() {
  in_world ip netns exec there ping -c 1 -W 2 -I "tun-$name" 10.88.0.1 >/dev/null
}

@test "a client that was issued a profile connects, and traffic passes" {
  for client in 'alice a' 'bob b'; do
    # shellcheck disable=SC2086 # a name and a letter
    client_of $client
    issued
    start_client
    connected
    reachable
  done
  [ "$(listed)" = 'alice bob' ]
}

@test "revoking alone leaves the open session; kill ends it, and nobody else's" {
  client_of alice a
  ask revoke
  expect 0
  [ "$(listed)" = 'alice bob' ]
  ask kill
  expect 0
  [ "$(value server) $(value killed) $(value open)" = 'running 1 0' ]
  [ "$(listed)" = bob ]
  end_client
  client_of bob b
  reachable
}

@test "the revoked client cannot connect again" {
  client_of alice a
  : >"$log"
  start_client
  wait_for 'the refusal in the log' grep -q 'VERIFY ERROR.*certificate revoked.*CN=alice' "$log"
  end_client
  [ "$(listed)" = bob ]
  ask kill
  expect 0
  [ "$(value killed) $(value open)" = '0 0' ]
}

@test "who is revoked before the first connection never gets in, without a restart of the server" {
  client_of carol c
  issued
  ask revoke
  : >"$log"
  start_client
  wait_for 'the refusal in the log' grep -q 'VERIFY ERROR.*certificate revoked.*CN=carol' "$log"
  [ "$(listed)" = bob ]
}

# OpenVPN read the CRL when this handshake began, and would judge the certificate by it.
@test "a handshake that began before the revocation does not let its client in afterwards" {
  client_of mallory f
  issued
  local room_of_relay=$BATS_TEST_TMPDIR relay
  in_world ip -n there link set lo up
  in_world ip netns exec there "$room/tests/shims/relay" 21194 192.0.2.1 1194 "$room_of_relay" 3>&- &
  relay=$!
  wait_for 'the relay' [ -e "$room_of_relay/listening" ]
  sed -i 's/^remote 192.0.2.1 1194/remote 127.0.0.1 21194/' "$profile"
  start_client
  wait_for 'the handshake to stand still' [ -e "$room_of_relay/held" ]

  ask revoke
  expect 0
  ask kill
  expect 0
  [ "$(value server) $(value killed) $(value open)" = 'running 1 0' ]
  : >"$room_of_relay/go"
  wait_for 'the client to go on' [ -e "$room_of_relay/released" ]
  # Time enough for a handshake, of which one takes milliseconds here.
  sleep 1
  [ "$(listed)" = bob ]
  run ! grep -q 'Initialization Sequence Completed' "$client_log"
  end_client
  end "$relay"
}

@test "a name that is used again is let in with its new serial, and kill for the old one spares it" {
  client_of alice d
  issued
  start_client
  connected
  [ "$(listed)" = 'alice bob' ]
  client_of alice a
  ask kill
  expect 65
  [ "$(listed)" = 'alice bob' ]
}

@test "a damaged CRL keeps everybody out until the verb crl makes a new one" {
  : >"$state/pub/crl.pem"
  : >"$log"
  serve < <(request verb=check)
  expect 70 'the verb crl makes a new one'
  client_of erin e
  issued
  start_client
  wait_for 'a refusal' grep -q 'VERIFY ERROR\|CRL.*\(fail\|cannot\|error\)' "$log"
  serve < <(request verb=crl)
  expect 0
  end_client
  start_client
  connected
}

@test "a server that was stopped is told from one that does not answer" {
  in_world kill -STOP "$(<"$BATS_FILE_TMPDIR/pid")"
  client_of carol c
  ask kill
  expect 0
  [ "$(value server)" = unreachable ]
  in_world kill -CONT "$(<"$BATS_FILE_TMPDIR/pid")"
  in_world kill -TERM "$(<"$BATS_FILE_TMPDIR/pid")"
  # Nobody in the world asks how its children ended: what is left is a zombie.
  gone() { in_world grep -q '^State:.*zombie' "/proc/$(<"$BATS_FILE_TMPDIR/pid")/status"; }
  wait_for 'the server to end' gone
  ask kill
  expect 0
  expect 0 server=stopped
  : >"$log"
  start_server
  ask kill
  [ "$(value server) $(value open)" = 'running 0' ]
}
