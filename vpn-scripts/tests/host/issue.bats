#!/usr/bin/env bats
# issue and ack: a certificate once, the same bytes ever after, and a key that can
# be forgotten.

setup_file() {
  load ../helper
  make_template
}

setup() {
  load ../helper
  use_template
}

@test "issue gives a profile with a certificate and the key that belongs to it" {
  issue
  expect 0
  [ "$(value verb) $(value name) $(value serial) $(value replayed) $(value key)" = "issue $name $serial 0 present" ]
  payload >"$BATS_TEST_TMPDIR/profile"
  assert_profile "$BATS_TEST_TMPDIR/profile"
  [ "$(block ca <"$BATS_TEST_TMPDIR/profile")" = "$(<"$state/ca/ca.crt")" ]
  [[ $(block tls-crypt-v2 <"$BATS_TEST_TMPDIR/profile") == '-----BEGIN OpenVPN tls-crypt-v2 client key-----'$'\n'*$'\n''-----END OpenVPN tls-crypt-v2 client key-----' ]]
  grep -qx 'remote vpn.example.net 1194' "$BATS_TEST_TMPDIR/profile"
}

@test "the certificate is for a TLS client, ends when asked, and is no CA" {
  days=7
  issue
  payload | block cert >"$BATS_TEST_TMPDIR/crt"
  local text
  text=$(openssl x509 -in "$BATS_TEST_TMPDIR/crt" -noout -text)
  [[ $text == *'TLS Web Client Authentication'* && $text != *'TLS Web Server Authentication'* ]]
  [[ $text == *'CA:FALSE'* && $text != *'CA:TRUE'* ]]
  openssl x509 -in "$BATS_TEST_TMPDIR/crt" -noout -checkend $((7 * 86400 - 3600))
  run ! openssl x509 -in "$BATS_TEST_TMPDIR/crt" -noout -checkend $((7 * 86400 + 3600))
}

@test "the same request again gives the same bytes" {
  issue
  payload >"$BATS_TEST_TMPDIR/first"
  issue
  expect 0
  [ "$(value replayed)" = 1 ]
  payload | cmp - "$BATS_TEST_TMPDIR/first"
  [ "$(files issued)" -eq 1 ]
}

@test "another worker with a higher fence gets the same bytes" {
  issue
  payload >"$BATS_TEST_TMPDIR/first"
  fence=11 attempt=$other_attempt
  issue
  expect 0
  [ "$(value replayed)" = 1 ]
  payload | cmp - "$BATS_TEST_TMPDIR/first"
}

@test "a serial cannot be used for another name" {
  issue
  name=bob issue
  expect 65 'another name or client'
  [ ! -e "$state/names/bob" ]
}

@test "a serial cannot be used by another client" {
  issue
  client=$other_client issue
  expect 65 'another name or client'
}

@test "a serial that was issued cannot be signed as well, nor the other way round" {
  issue
  make_csr "$BATS_TEST_TMPDIR/csr"
  ask sign "days=$days" "${csr_lines[@]}"
  expect 65 'another CSR'
  serial=$other_serial name=bob
  ask sign "days=$days" "${csr_lines[@]}"
  expect 0
  issue
  expect 65 'another CSR'
}

@test "a name has one live serial" {
  issue
  serial=$other_serial client=$other_client
  issue
  expect 65 "live serial 41234567890ABCDEF01234567890ABCD"
  [ "$(files issued)" -eq 1 ]
}

@test "a name is free again once its serial is revoked" {
  issue
  ask revoke
  serial=$other_serial client=$other_client
  issue
  expect 0
  payload >"$BATS_TEST_TMPDIR/profile"
  assert_profile "$BATS_TEST_TMPDIR/profile"
}

@test "names that differ in case are different" {
  issue
  serial=$other_serial name=Alice
  issue
  expect 0
}

@test "a profile whose name link was lost gets it back" {
  issue
  rm "$state/names/$name"
  issue
  expect 0
  [ "$(<"$state/names/$name")" = "$serial" ]
}

@test "damaged or lost files are an alarm, never a second certificate" {
  issue
  cp -a "$state" "$BATS_TEST_TMPDIR/good"
  local damage
  for damage in ": >issued/$serial" "echo x >>issued/$serial" "sed -i 1d issued/$serial" "rm intent/$serial" ": >intent/$serial" \
    ": >names/alice" "echo x >names/alice" "rm -r revoked" "rm etc/host.conf" "rm lock"; do
    echo "# $damage"
    (cd "$state" && eval "$damage")
    issue
    expect 70
    rm -rf "$state"
    cp -a "$BATS_TEST_TMPDIR/good" "$state"
  done
}

@test "a CA key that cannot be used is told, and nothing is left of the attempt" {
  mv "$state/ca/ca.key" "$BATS_TEST_TMPDIR/"
  issue
  expect 69 'issue the certificate'
  # OpenSSL has made the client's key by then.
  grep -q 'ca/ca.key' "$BATS_TEST_TMPDIR/stderr"
  run ! grep -qe '-----BEGIN' "$BATS_TEST_TMPDIR/stderr"
  [ "$(files issued) $(files intent) $(files names)" = '0 0 0' ]
  mv "$BATS_TEST_TMPDIR/ca.key" "$state/ca/"
  issue
  expect 0
}

@test "no private key is readable by others or left outside the profile" {
  issue
  [ "$(stat -c %a "$state/issued/$serial")" = 600 ]
  [ "$(grep -rl 'PRIVATE KEY' "$state" | sort)" = "$state/ca/ca.key"$'\n'"$state/issued/$serial"$'\n'"$state/server/server.key" ]
  [ ! -s "$BATS_TEST_TMPDIR/stderr" ]
}

@test "no program is told a private key, in its arguments or its environment" {
  local log=$BATS_TEST_TMPDIR/strace key
  traced() {
    strace -f -v -s 1000000 -e trace=execve -o "$log" "$@"
  }
  serve_by=traced
  issue
  expect 0
  key=$(payload | block key | sed '/^-----/d')
  [ -n "$key" ]
  grep -q 'execve(.*openssl' "$log"
  # Each line of it is a pattern.
  run ! grep -F -e "$key" -e 'PRIVATE KEY' "$log"
  ask ack
  expect 0
  [ "$(value key)" = forgotten ]
  run ! grep -F -e "$key" -e 'PRIVATE KEY' "$log"
}

@test "ack makes the host forget the key, and nothing else" {
  issue
  payload >"$BATS_TEST_TMPDIR/first"
  ask ack
  expect 0
  [ "$(value key)" = forgotten ]
  run ! grep -rq 'PRIVATE KEY' "$state/issued" "$state/tmp"
  issue
  expect 0
  [ "$(value key) $(value replayed)" = 'forgotten 1' ]
  payload >"$BATS_TEST_TMPDIR/after"
  [ "$(sed '/^<tls-crypt-v2>$/,$d' "$BATS_TEST_TMPDIR/first")" = "$(<"$BATS_TEST_TMPDIR/after")" ]
  assert_profile "$BATS_TEST_TMPDIR/after"
}

@test "ack may be repeated" {
  issue
  ask ack
  local first
  first=$(stat -c %Y.%i "$state/issued/$serial")
  ask ack
  expect 0
  [ "$(value key)" = forgotten ]
  [ "$(stat -c %Y.%i "$state/issued/$serial")" = "$first" ]
}

@test "ack of what was never issued, or of another's, is a conflict" {
  ask ack
  expect 65 'never issued'
  fence=11
  issue
  fence=12
  name=bob ask ack
  expect 65
  client=$other_client ask ack
  expect 65
  grep -q 'PRIVATE KEY' "$state/issued/$serial"
}

@test "ack of a revoked serial says so" {
  issue
  ask revoke
  ask ack
  expect 66
}
