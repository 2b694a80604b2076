#!/usr/bin/env bats
# kill and sessions, against a management interface that may answer oddly.

setup_file() {
  load ../helper
  make_template
}

setup() {
  load ../helper
  use_template
  socket=$BATS_TEST_TMPDIR/m
  sed -i "s|^management=.*|management=$socket|; s|^pidfile=.*|pidfile=$BATS_TEST_TMPDIR/pid|" "$state/etc/host.conf"
  fake=
}

teardown() {
  [ -z "$fake" ] || end "$fake"
}

# server MODE NAME...
server() {
  "$room/tests/shims/management" "$socket" "$@" 3>&- &
  fake=$!
  echo "$fake" >"$BATS_TEST_TMPDIR/pid"
  wait_for 'the stand-in to listen' [ -S "$socket" ]
}

sessions() { serve < <(request verb=sessions); }

revoked() { # alice was issued and is revoked
  issue
  ask revoke
  expect 0
}

killed() { # SERVER KILLED OPEN
  expect 0
  [ "$(value server) $(value killed) $(value open)" = "$1 $2 $3" ] || { echo "$reply" && return 1; }
}

asked() { # LINES, of which the last is the goodbye: nobody waits for an answer to it
  wait_for 'the goodbye' grep -qx quit "$socket.log"
  [ "$(<"$socket.log")" = "$1" ]
}

@test "sessions lists who is connected, without those still shaking hands" {
  server plain alice UNDEF bob alice
  sessions
  expect 0
  [ "$(value server)" = running ]
  [ "$(payload)" = $'alice 192.0.2.1:40000 1767225600 100 200\nbob 192.0.2.1:40000 1767225600 100 200\nalice 192.0.2.1:40000 1767225600 100 200' ]
  asked $'status 3\nquit'
}

@test "names of other PKIs are told in one word, and keep nobody from being revoked" {
  revoked
  server plain 'John Doe' $'Zo\xc3\xab' alice
  sessions
  expect 0
  [ "$(payload | cut -d ' ' -f 1 | xargs)" = 'John%20Doe Zo%C3%AB alice' ]
  ask kill
  killed running 1 0
}

@test "sessions of a server without clients are none" {
  server plain
  sessions
  expect 0
  [ "$(value server) $(payload_size)" = 'running 0' ]
}

@test "kill ends every session of the name, and no other" {
  revoked
  server plain alice alice2 Alice bob alice
  ask kill
  killed running 2 0
  asked $'kill alice\nstatus 3\nquit'
  sessions
  [ "$(payload | cut -d ' ' -f 1 | paste -s)" = $'alice2\tAlice\tbob' ]
}

@test "kill ends handshakes that began before the CRL was published" {
  revoked
  server plain UNDEF bob
  ask kill
  killed running 1 0
  asked $'kill alice\nstatus 3\nkill 192.0.2.1:40000\nstatus 3\nquit'
}

# As OpenVPN's does after the machine's was set back.
@test "kill ends such handshakes, and no others, when OpenVPN's clock is ahead of the machine's" {
  revoked
  server ahead UNDEF bob
  ask kill
  killed running 1 0
  end "$fake"
  rm "$socket"
  server early UNDEF bob
  ask kill
  killed running 0 0
}

@test "kill says that such a handshake is still open" {
  revoked
  server stubborn UNDEF
  ask kill
  killed running 3 1
}

@test "kill proves nothing about a server whose configuration does not name the CRL in force" {
  revoked
  server plain alice
  ask kill
  expect 0
  [ "$(value crl_checked)" = yes ]
  local damage
  for damage in '/^crl-verify/d' 's/^crl-verify/#&/' 's|pub/crl.pem|pub/old.pem|'; do
    cp "$state/server/openvpn.conf" "$BATS_TEST_TMPDIR/conf"
    sed -i "$damage" "$state/server/openvpn.conf"
    ask kill
    expect 70 'does not name the CRL'
    cp "$BATS_TEST_TMPDIR/conf" "$state/server/openvpn.conf"
  done
}

@test "kill can be repeated, and finds nobody" {
  revoked
  server plain alice
  ask kill
  killed running 1 0
  ask kill
  killed running 0 0
}

@test "kill passes over real-time messages and odd line ends, byte by byte" {
  revoked
  server chatty alice bob
  ask kill
  killed running 1 0
}

@test "kill says what is still open" {
  revoked
  server stubborn alice alice
  ask kill
  killed running 6 2
}

@test "kill ends a session that came up meanwhile" {
  revoked
  server late alice
  ask kill
  killed running 2 0
}

@test "kill is for revoked serials only, and asks OpenVPN nothing otherwise" {
  issue
  server plain alice
  ask kill
  expect 65 'not revoked'
  [ ! -s "$socket.log" ]
}

@test "kill with a name or client that is not the serial's is a conflict" {
  revoked
  server plain alice bob
  name=bob ask kill
  expect 65
  client=$other_client ask kill
  expect 65
  [ ! -s "$socket.log" ]
}

@test "kill leaves the sessions of a new client with the same name alone" {
  revoked
  local old=$serial old_client=$client
  serial=$other_serial client=$other_client
  issue
  serial=$old client=$old_client
  server plain alice
  ask kill
  expect 65 "live serial $other_serial"
  [ ! -s "$socket.log" ]
}

@test "kill of a serial that was never issued ends what there is of the name" {
  ask revoke
  server plain bob
  ask kill
  killed running 0 0
}

@test "an answer that proves nothing is never taken for nobody" {
  revoked
  local mode
  for mode in hangup error odd noisy endless timeless; do
    echo "# $mode"
    server "$mode" bob
    ask kill
    killed unreachable 0 0
    sessions
    expect 0
    [ "$(value server) $(payload_size)" = 'unreachable 0' ]
    end "$fake"
    rm "$socket"
  done
  fake=
}

@test "a server that says nothing is unreachable after some seconds, and keeps nobody else waiting" {
  revoked
  server silent alice
  apart 1 ask kill
  # While that one waits, the lock is free.
  wait_for 'the kill to be under way' [ -s "$socket.log" ]
  serial=$other_serial name=bob client=$other_client
  issue
  expect 0
  collect
  take 1
  killed unreachable 0 0
  # It was not the stand-in that gave up.
  [ "$(<"$socket.log")" = accepted ]
}

@test "without a socket, and without a process, the server is stopped" {
  revoked
  ask kill
  killed stopped 0 0
  sessions
  [ "$(value server)" = stopped ]
}

@test "a socket that nobody serves, and a dead process, are a stopped server" {
  revoked
  server plain alice
  end "$fake"
  fake=
  ask kill
  killed stopped 0 0
}

@test "a process that only inherited the number is not the server" {
  revoked
  sleep 60 3>&- &
  fake=$!
  echo "$fake" >"$BATS_TEST_TMPDIR/pid"
  touch -d '1 hour ago' "$BATS_TEST_TMPDIR/pid"
  ask kill
  killed stopped 0 0
}

@test "no socket, and a process that lives or is not known, prove nothing" {
  revoked
  server plain alice
  rm "$socket"
  echo x >"$BATS_TEST_TMPDIR/damaged"
  "$libexec/sessions" "$socket" "$BATS_TEST_TMPDIR/damaged" kill alice 1 >"$BATS_TEST_TMPDIR/answer" 3>&- &
  local helper=$! # what ask starts has the next one
  ask kill
  killed unreachable 0 0
  wait "$helper"
  [ "$(<"$BATS_TEST_TMPDIR/answer")" = $'server=unreachable\nkilled=0\nopen=0' ]
}

@test "a host without a server says so" {
  revoked
  sed -i 's|^management=.*|management=none|' "$state/etc/host.conf"
  ask kill
  killed absent 0 0
  sessions
  [ "$(value server) $(payload_size)" = 'absent 0' ]
}

@test "the helper refuses names that could be commands, or those of nobody" {
  local bad
  for bad in '' 'a b' $'a\nkill bob' 'a:b' '-x' "a'b" UNDEF; do
    run ! "$libexec/sessions" none /nonexistent kill "$bad" 1
  done
  run ! "$libexec/sessions" none /nonexistent kill
  run ! "$libexec/sessions" none /nonexistent kill alice
  run ! "$libexec/sessions" none /nonexistent kill alice now
  run ! "$libexec/sessions" none /nonexistent list x
  run ! "$libexec/sessions" none /nonexistent shutdown
}
