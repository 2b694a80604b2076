#!/usr/bin/env bats
# The tls-crypt-v2 key of a client, and what OpenVPN is told about it before TLS.

setup_file() {
  load ../helper
  make_template
}

setup() {
  load ../helper
  use_template
}

# verify METADATA [TYPE]: as OpenVPN calls it, with nothing else in the environment.
verify() {
  printf '%s' "$1" >"$BATS_TEST_TMPDIR/metadata"
  env -i script_type=tls-crypt-v2-verify "metadata_type=${2-0}" "metadata_file=$BATS_TEST_TMPDIR/metadata" \
    "$shell" "$libexec/tls-crypt-v2-verify" "$state/pub/admitted"
}

# The metadata in the key of a profile: unwrapped it is for OpenVPN's eyes only, so the
# wrapped part is opened with the server's key, as doc/tls-crypt-v2.txt of OpenVPN has it.
metadata_of() { # FILE
  perl -MMIME::Base64 -MDigest::SHA=hmac_sha256 -0777 -e '
    my ($server, $client) = map { local @ARGV = $_; my $t = <>; $t =~ s/^-.*\n//mg; decode_base64($t) } @ARGV;
    my $wrapped = substr $client, 256;
    my ($tag, $text) = (substr($wrapped, 0, 32), substr($wrapped, 32, -2));
    my $length = substr $wrapped, -2;
    open my $pipe, "-|", "openssl", "enc", "-d", "-aes-256-ctr", "-K", unpack("H*", substr $server, 0, 32),
      "-iv", unpack("H*", substr $tag, 0, 16), "-in", do { open my $f, ">", "$ARGV[1].text"; print $f $text; close $f; "$ARGV[1].text" };
    local $/; my $plain = <$pipe>;
    die "the tag is wrong\n" if hmac_sha256($length . $plain, substr $server, 64, 32) ne $tag;
    die "the key is another\n" if substr($plain, 0, 256) ne substr($client, 0, 256);
    print substr $plain, 256;' "$state/server/tls-crypt-v2.key" "$1"
}

@test "each profile has a key of its own, made for its serial and wrapped by the server's key" {
  issue
  payload | block tls-crypt-v2 >"$BATS_TEST_TMPDIR/one"
  [ "$(metadata_of "$BATS_TEST_TMPDIR/one" | od -An -tx1 -N1)" = ' 00' ]
  [ "$(metadata_of "$BATS_TEST_TMPDIR/one" | tail -c +2)" = "$serial" ]
  serial=$other_serial name=bob client=$other_client
  issue
  payload | block tls-crypt-v2 >"$BATS_TEST_TMPDIR/two"
  [ "$(metadata_of "$BATS_TEST_TMPDIR/two" | tail -c +2)" = "$serial" ]
  run ! cmp -s "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/two"
}

@test "a serial is admitted from its issue to its revocation" {
  run -1 verify "$serial"$'\n'
  [[ $output == *"the serial $serial is not admitted" ]]
  issue
  verify "$serial"$'\n'
  ask revoke
  expect 0
  run -1 verify "$serial"$'\n'
  ask kill
  expect 0
  run -1 verify "$serial"$'\n'
}

@test "what is no serial is refused, and nothing of it is shown" {
  issue
  local bad
  for bad in '' "${serial:1}" "${serial}0" "${serial,,}" "8${serial:1}" "../admitted/$serial" "$(printf '%32s' '')" '*' 41234567890ABCDEF01234567890ABC$'\t'; do
    echo "# $bad"
    run -1 verify "$bad"$'\n'
    [ "$output" = 'tls-crypt-v2-verify: refused: the key is not for a serial of this host' ]
  done
  run -1 verify "$serial"$'\n' 1
  run -1 env -i "$shell" "$libexec/tls-crypt-v2-verify" "$state/pub/admitted"
  run -1 env -i metadata_type=0 metadata_file=/nonexistent "$shell" "$libexec/tls-crypt-v2-verify" "$state/pub/admitted"
  verify "$serial"$'\n'
  rm -r "$state/pub/admitted"
  run -1 verify "$serial"$'\n'
}

@test "a profile is acknowledged without its keys" {
  issue
  ask ack
  expect 0
  issue
  [ "$(value key)" = forgotten ]
  payload >"$BATS_TEST_TMPDIR/profile"
  run ! grep -q 'tls-crypt\|<key>' "$BATS_TEST_TMPDIR/profile"
  verify "$serial"$'\n'
}

@test "a repeat, and setup, admit an issued serial again, and never a revoked one" {
  issue
  rm "$state/pub/admitted/$serial"
  issue
  expect 0
  verify "$serial"$'\n'
  rm "$state/pub/admitted/$serial"
  : >"$state/pub/admitted/$other_serial"
  echo "bob $other_client 1700000000" >"$state/revoked/$other_serial"
  serve < <(request verb=crl)
  serve < <(request verb=check)
  expect 70 'pub/admitted has revoked serials'
  "$shell" "$libexec/setup" --state "$state" --remote vpn.example.net --management none >/dev/null
  [ "$(ls "$state/pub/admitted")" = "$serial" ]
  serve < <(request verb=check)
  expect 0
}

@test "without the server's key nothing is issued, and the cure is named" {
  rm "$state/server/tls-crypt-v2.key"
  issue
  expect 69 'openvpn failed'
  [ "$(files issued) $(files intent) $(files pub/admitted)" = '0 0 0' ]
  serve < <(request verb=check)
  expect 70 'restore it from the backup'
}

@test "what OpenVPN says is told, but never with a key" {
  mkdir "$BATS_TEST_TMPDIR/bin"
  printf '#!/bin/sh\n/usr/sbin/openvpn "$@"\necho the disk is full\nexit 1\n' >"$BATS_TEST_TMPDIR/bin/openvpn"
  chmod +x "$BATS_TEST_TMPDIR/bin/openvpn"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH issue
  expect 69 'openvpn failed'
  [ ! -s "$BATS_TEST_TMPDIR/stderr" ]
  printf '#!/bin/sh\necho the disk is full\nexit 1\n' >"$BATS_TEST_TMPDIR/bin/openvpn"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH issue
  expect 69 'openvpn failed'
  [ "$(<"$BATS_TEST_TMPDIR/stderr")" = 'the disk is full' ]
}
