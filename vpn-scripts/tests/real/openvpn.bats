#!/usr/bin/env bats
# A real OpenVPN server and real clients, in namespaces: who is issued gets in, who is
# revoked is thrown out and kept out.

setup_file() {
  load ../helper
  load ../world
  load ../tunnel
  make_tunnel
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
  load ../tunnel
  use_tunnel
}

listed() {
  serve < <(request verb=sessions)
  expect 0
  payload | cut -d ' ' -f 1 | sort -u | paste -s -d ' '
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

@test "the revoked client cannot connect again: it is refused before TLS" {
  client_of alice a
  : >"$log"
  start_client
  refused_before_tls
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
  refused_before_tls
  end_client
  [ "$(listed)" = bob ]
}

@test "a revoked client with the tls-crypt-v2 key of another one is refused by the CRL" {
  client_of carol c
  with_tls_crypt_of bob "$profile"
  : >"$log"
  start_client
  wait_for 'the refusal in the log' grep -q 'VERIFY ERROR.*certificate revoked.*CN=carol' "$log"
  end_client
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
  : >"$log"
  : >"$room_of_relay/go"
  wait_for 'the client to go on' [ -e "$room_of_relay/released" ]
  # The server has what was held back, and knows of no handshake that it could belong to.
  wait_for 'the server to refuse it' grep -q 'TLS Error.*192\.0\.2\.2:' "$log"
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

@test "a CRL that is not valid yet keeps everybody out until a revocation makes a new one" {
  client_of gwen 1
  issued
  at "$((EPOCHSECONDS + 86400))" serve < <(request verb=crl)
  expect 0
  : >"$log"
  start_client
  wait_for 'a refusal' grep -q 'CRL is not yet valid' "$log"
  end_client
  client_of heidi 2
  ask revoke
  expect 0
  client_of gwen 1
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
  wait_for 'the server to end' server_gone
  ask kill
  expect 0
  expect 0 server=stopped
  : >"$log"
  start_server
  ask kill
  [ "$(value server) $(value open)" = 'running 0' ]
}
