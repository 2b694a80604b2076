#!/usr/bin/env bats
# Addresses and routes of a client's own, and the terms that a serial is bound to.

setup_file() {
  load ../helper
  make_template --network 10.88.0.0/24 --static-addresses 10
}

setup() {
  load ../helper
  use_template
}

# with LINE...: an issue with these lines more.
with() { ask issue "days=$days" "$@"; }

ccd() { cat "$state/pub/ccd/$name"; }

another() { # NAME
  serial=$other_serial client=$other_client name=$1
}

@test "an address and routes become the file that OpenVPN reads for this name" {
  with address=10.88.0.250 route=10.20.0.0/16 route=192.0.2.128/25
  expect 0
  [ "$(ccd)" = "# $serial"'
ifconfig-push 10.88.0.250 255.255.255.0
push "route 10.20.0.0 255.255.0.0"
push "route 192.0.2.128 255.255.255.128"' ]
  [ "$(stat -c %a "$state/pub/ccd/$name" "$state/pub/ccd" "$state/addresses/10.88.0.250" | paste -s -d ' ')" = '644 711 600' ]
  payload >"$BATS_TEST_TMPDIR/first"
  with address=10.88.0.250 route=10.20.0.0/16 route=192.0.2.128/25
  expect 0
  [ "$(value replayed)" = 1 ]
  payload | cmp - "$BATS_TEST_TMPDIR/first"
}

@test "without either there is no file, and routes alone push no address" {
  issue
  expect 0
  [ "$(files pub/ccd) $(files addresses)" = '0 0' ]
  another bob
  with route=10.0.0.0/8
  expect 0
  [ "$(ccd)" = "# $serial"$'\n''push "route 10.0.0.0 255.0.0.0"' ]
  [ "$(files addresses)" = 0 ]
}

@test "a serial stays with the terms of its first request" {
  with address=10.88.0.250 route=10.20.0.0/16
  expect 0
  local terms
  for terms in '' address=10.88.0.250 'address=10.88.0.250 route=10.21.0.0/16' 'address=10.88.0.251 route=10.20.0.0/16' \
    'address=10.88.0.250 route=10.20.0.0/16 route=10.21.0.0/16' 'route=10.20.0.0/16'; do
    # shellcheck disable=SC2086 # lines without spaces
    with $terms
    expect 65 'first asked for with other days, another address or other routes'
  done
  days=31 with address=10.88.0.250 route=10.20.0.0/16
  expect 65 'first asked for with other days'
  with address=10.88.0.250 route=10.20.0.0/16
  expect 0
}

@test "a serial that an older version has bound is replayed, for any days, without an address" {
  issue
  echo "$name $client issue" >"$state/intent/$serial"
  days=99 issue
  expect 0
  [ "$(value replayed)" = 1 ]
  with address=10.88.0.250
  expect 65 'another address'
}

@test "without days, an issue is a repeat of whatever was issued, and makes nothing" {
  ask issue
  expect 65 'never issued'
  [ "$(files issued) $(files intent)" = '0 0' ]
  ask issue address=10.88.0.250
  expect 64 'does not take'
  ask issue route=10.20.0.0/16
  expect 64 'does not take'
  with address=10.88.0.250
  payload >"$BATS_TEST_TMPDIR/first"
  ask issue
  expect 0
  [ "$(value key) $(value replayed)" = 'present 1' ]
  payload | cmp - "$BATS_TEST_TMPDIR/first"
  another bob
  make_csr "$BATS_TEST_TMPDIR/csr"
  ask sign days=30 "${csr_lines[@]}"
  ask issue
  expect 0
  [ "$(value key)" = absent ]
  ask ack
  ask issue
  [ "$(value key)" = forgotten ]
  client=cli_00000000000000000000000000000000
  ask issue
  expect 65 'another name or client'
}

@test "the terms are told from the CSR" {
  make_csr "$BATS_TEST_TMPDIR/csr"
  ask sign days=30 address=10.88.0.250 "${csr_lines[@]}"
  expect 0
  ask sign days=31 address=10.88.0.250 "${csr_lines[@]}"
  expect 65 'other days'
  issue
  expect 65 'another CSR'
  make_csr "$BATS_TEST_TMPDIR/other"
  ask sign days=30 address=10.88.0.250 "${csr_lines[@]}"
  expect 65 'another CSR'
}

@test "an address is of the host's own, and one client's" {
  local bad
  for bad in 10.88.0.244 10.88.0.255 10.88.0.1 10.88.1.250 192.0.2.1; do
    with "address=$bad"
    expect 64 'choose one from 10.88.0.245 to 10.88.0.254'
  done
  [ "$(files issued) $(files intent) $(files addresses)" = '0 0 0' ]
  with address=10.88.0.245
  expect 0
  another bob
  with address=10.88.0.245
  expect 65 'the address has the live serial 41234567890ABCDEF01234567890ABCD'
  with address=10.88.0.254
  expect 0
}

@test "a new serial that is refused has its fence stored before it is told" {
  with address=10.88.0.245
  another bob
  fence=11
  with address=10.88.0.245
  expect 65 'the address has the live serial'
  fence=10
  with address=10.88.0.246
  expect 76
  serial=11111111111111111111111111111111 fence=11
  with address=10.88.0.1
  expect 64 'choose one from'
  fence=10
  with address=10.88.0.246
  expect 76
  serial=22222222222222222222222222222222 fence=11
  ask issue
  expect 65 'never issued'
  fence=10
  ask issue
  expect 76
  [ "$(files issued) $(files intent) $(files pub/admitted) $(files addresses)" = '1 1 1 1' ]
}

@test "a host that keeps no addresses says how to" {
  "$shell" "$libexec/setup" --state "$state" --remote vpn.example.net --management none >/dev/null
  with address=10.88.0.245
  expect 64 'install.sh --static-addresses'
}

@test "revoke takes file and address away, and both may be given again" {
  with address=10.88.0.250 route=10.20.0.0/16
  ask revoke
  expect 0
  [ "$(files pub/ccd) $(files addresses)" = '0 0' ]
  another alice
  with address=10.88.0.250
  expect 0
  [ "$(ccd)" = "# $serial"$'\n''ifconfig-push 10.88.0.250 255.255.255.0' ]
  # A repeat for the old one leaves the new one alone.
  serial=41234567890ABCDEF01234567890ABCD client=cli_0123456789abcdef0123456789abcdef
  ask revoke
  expect 0
  [ "$(files pub/ccd) $(files addresses)" = '1 1' ]
}

@test "a name that is used again does not get what the one before had" {
  with route=10.20.0.0/16
  cp "$state/pub/ccd/$name" "$BATS_TEST_TMPDIR/left"
  ask revoke
  cp "$BATS_TEST_TMPDIR/left" "$state/pub/ccd/$name"
  another alice
  issue
  expect 0
  [ "$(files pub/ccd)" = 0 ]
}

@test "what OpenVPN is to read is made again by a repeat" {
  local lost
  with address=10.88.0.250
  for lost in "pub/ccd/$name" addresses/10.88.0.250; do
    rm "$state/$lost"
    with address=10.88.0.250
    expect 0
    [ "$(ccd)" = "# $serial"$'\n''ifconfig-push 10.88.0.250 255.255.255.0' ]
    [ "$(<"$state/addresses/10.88.0.250")" = "$serial" ]
  done
  another bob
  with route=10.20.0.0/16
  rm "$state/pub/ccd/$name"
  with route=10.20.0.0/16
  expect 0
  [ "$(ccd)" = "# $serial"$'\n''push "route 10.20.0.0 255.255.0.0"' ]
}

@test "a repeat is answered though the host has fewer addresses to give now" {
  with address=10.88.0.250
  payload >"$BATS_TEST_TMPDIR/first"
  sed -i 's/^static_addresses=.*/static_addresses=1/' "$state/etc/host.conf"
  with address=10.88.0.250
  expect 0
  payload | cmp - "$BATS_TEST_TMPDIR/first"
  another bob
  with address=10.88.0.251
  expect 64 'choose one from'
}

@test "addresses and routes that are none are refused, and nothing is made" {
  local bad many
  for bad in '' x 10.88.0 10.88.0.256 10.88.0.05 10.88.0.250/24 ' 10.88.0.250' '10.88.0.250;x' ::1 '../x' 10.88.0.250.1 -1.0.0.0; do
    with "address=$bad"
    expect 64 'address must be an IPv4 address'
  done
  for bad in '' x 10.20.0.0 10.20.0.1/16 10.20.0.0/0 10.20.0.0/33 10.20.0.0/016 10.20.0.0/16/16 10.20.0/16 '10.20.0.0/16"' 2001:db8::/32 \
    0.0.0.0/8 127.0.0.0/8 224.0.0.0/8 240.0.0.0/8 169.254.0.0/16 64.0.0.0/2 10.0.0.0/7; do
    with "route=$bad"
    expect 64 'route must be'
  done
  with route=10.20.0.0/16 route=10.20.0.0/16
  expect 64 twice
  mapfile -t many < <(printf 'route=10.%s.0.0/16\n' {1..17})
  with "${many[@]}"
  expect 64 'more than 16'
  with "${many[@]:1}"
  expect 0
  another bob
  ask revoke address=10.88.0.250
  expect 64 'does not take'
  ask ack route=10.20.0.0/16
  expect 64 'does not take'
}

@test "setup leaves room for OpenVPN's own addresses" {
  grep -qx 'ifconfig-pool 10.88.0.2 10.88.0.244 255.255.255.0' "$state/server/openvpn.conf"
  grep -qx "client-config-dir \"$state/pub/ccd\"" "$state/server/openvpn.conf"
  local n
  for n in '' x -1 5 01; do
    run -64 "$shell" "$libexec/setup" --state "$BATS_TEST_TMPDIR/new" --remote x --network 10.88.0.0/29 --static-addresses "$n"
    [[ $output == *'from 0 to 4 in this network'* ]]
  done
  run -0 "$shell" "$libexec/setup" --state "$BATS_TEST_TMPDIR/new" --remote x --network 10.88.0.0/29 --static-addresses 4 --print-server-conf
  [[ $output == *'ifconfig-pool 10.88.0.2 10.88.0.2 255.255.255.248'* ]]
}
