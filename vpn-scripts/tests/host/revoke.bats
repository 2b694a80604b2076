#!/usr/bin/env bats
# revoke: for good, also before there is anything to revoke.

setup_file() {
  load ../helper
  make_template
}

setup() {
  load ../helper
  use_template
}

assert_revoked() {
  expect 0
  [ "$(value published)" = yes ]
  [ "$(value crl_number)" = "$(stat -c %Y "$state/pub/crl.pem")" ]
  crl_text | grep -q "Serial Number: $serial\$"
  [ -e "$state/revoked/$serial" ]
  [ ! -e "$state/issued/$serial" ]
}

@test "revoke publishes the serial, and profile, key and name are gone" {
  issue
  ask revoke
  assert_revoked
  [ "$(value replayed)" = 0 ]
  [ ! -e "$state/names/$name" ]
  run ! grep -rq 'PRIVATE KEY' "$state/issued" "$state/tmp"
}

@test "revoke says what it has read back: number and end of the list, and who can read it" {
  issue
  ask revoke
  assert_revoked
  [ "$(value readable_by)" = nobody ]
  [ "$(value crl_next_update)" -gt "$EPOCHSECONDS" ]
}

@test "revoke can be repeated, and publishes nothing new" {
  issue
  ask revoke
  local first
  first=$(value crl_number)
  ask revoke
  assert_revoked
  [ "$(value replayed) $(value crl_number)" = "1 $first" ]
  [ "$(grep -c "$serial" "$state/revoked.log")" -eq 1 ]
}

@test "a repeat puts the serial back into a CRL that lost it" {
  cp -p "$state/pub/crl.pem" "$BATS_TEST_TMPDIR/old"
  issue
  ask revoke
  cp -p "$BATS_TEST_TMPDIR/old" "$state/pub/crl.pem"
  ask revoke
  assert_revoked
  rm "$state/pub/crl.pem"
  ask revoke
  assert_revoked
}

@test "what was never issued can be revoked, and then never be issued" {
  ask revoke
  assert_revoked
  fence=11 attempt=$other_attempt
  issue
  expect 66 'revoked for good'
  make_csr "$BATS_TEST_TMPDIR/csr"
  ask sign "days=$days" "${csr_lines[@]}"
  expect 66
  [ "$(files issued)" -eq 0 ]
}

@test "a revoked serial stays revoked for every fence and attempt" {
  issue
  ask revoke
  for fence in 10 11 999999999999999; do
    issue
    expect 66
  done
}

@test "revoke with a name or a client that is not the serial's is a conflict" {
  issue
  name=bob ask revoke
  expect 65
  client=$other_client ask revoke
  expect 65
  [ ! -e "$state/revoked/$serial" ]
  ask revoke
  assert_revoked
  name=bob ask revoke
  expect 65
  client=$other_client ask revoke
  expect 65
}

@test "revoking an unissued serial leaves the name to the client that holds it" {
  issue
  local held=$serial
  serial=$other_serial client=$other_client
  ask revoke
  assert_revoked
  [ "$(<"$state/names/$name")" = "$held" ]
  [ -e "$state/issued/$held" ]
}

@test "the old serial of a name can be revoked again without harm to the new one" {
  issue
  ask revoke
  local old=$serial
  serial=$other_serial client=$other_client
  issue
  client=cli_0123456789abcdef0123456789abcdef serial=$old
  ask revoke
  assert_revoked
  [ -e "$state/issued/$other_serial" ]
  [ "$(<"$state/names/$name")" = "$other_serial" ]
  run ! grep -q "Serial Number: $other_serial" <(crl_text)
}

@test "a damaged tombstone is an alarm, and still keeps issue out" {
  issue
  ask revoke
  : >"$state/revoked/$serial"
  ask revoke
  expect 70
  issue
  expect 66
}

@test "revoke works when the intent was lost" {
  issue
  rm "$state/intent/$serial"
  ask revoke
  assert_revoked
}

@test "when the CRL cannot be made the serial is buried all the same, and a repeat publishes it" {
  issue
  mv "$state/ca/ca.key" "$BATS_TEST_TMPDIR/"
  ask revoke
  expect 69 'make the CRL'
  [ -e "$state/revoked/$serial" ]
  issue
  expect 66
  mv "$BATS_TEST_TMPDIR/ca.key" "$state/ca/"
  ask revoke
  assert_revoked
  [ "$(value replayed)" = 1 ]
}

@test "when OpenVPN's user cannot reach the CRL, revoke does not claim that it is published" {
  issue
  chmod o-x "$state"
  ask revoke
  expect 70 'cannot reach'
  chmod o+x "$state"
  ask revoke
  assert_revoked
}
