#!/usr/bin/env bats
# inventory: what a platform that is behind needs to know. owner: one platform per host.

setup_file() {
  load ../helper
  make_template
}

setup() {
  load ../helper
  use_template
}

inventory() { from inventory "$@"; }

@test "the inventory of a new host is empty" {
  inventory
  expect 0
  [ "$(value next)" = none ]
  [ "$(payload)" = '' ]
}

@test "the inventory tells state, fence, name and client of every serial" {
  issue
  inventory
  [ "$(payload)" = "live $serial 10 alice $client" ]
  ask ack
  inventory
  [ "$(payload)" = "forgotten $serial 10 alice $client" ]
  fence=12
  ask revoke
  inventory
  [ "$(payload)" = "revoked $serial 12 alice $client" ]
  serial=$other_serial client=$other_client name=bob
  ask ack
  expect 65
  inventory
  [ "$(payload)" = "revoked 41234567890ABCDEF01234567890ABCD 12 alice cli_0123456789abcdef0123456789abcdef"$'\n'"seen $serial 12 - -" ]
}

@test "a signed certificate is live until its ack: then its profile has no tls-crypt-v2 key" {
  make_csr "$BATS_TEST_TMPDIR/csr"
  ask sign "days=$days" "${csr_lines[@]}"
  expect 0
  inventory
  [ "$(payload)" = "live $serial 10 alice $client" ]
  ask ack
  inventory
  [ "$(payload)" = "forgotten $serial 10 alice $client" ]
}

@test "an issue that did not come to its end shows as bound" {
  issue
  rm "$state/issued/$serial"
  inventory
  [ "$(payload)" = "bound $serial 10 alice $client" ]
}

@test "pages of the inventory follow each other, each serial once" {
  local i hex from=$first pages=0
  for ((i = 1; i <= 2500; i++)); do
    printf -v hex '1%031X' "$i"
    echo "$i $attempt" >"$state/fence/$hex"
  done
  : >"$BATS_TEST_TMPDIR/all"
  until [ "$from" = none ]; do
    inventory "$from"
    expect 0
    payload >>"$BATS_TEST_TMPDIR/all"
    from=$(value next)
    pages=$((pages + 1))
  done
  [ "$pages" -eq 3 ]
  [ "$(wc -l <"$BATS_TEST_TMPDIR/all")" -eq 2500 ]
  [ "$(cut -d ' ' -f 2 "$BATS_TEST_TMPDIR/all" | sort -u | wc -l)" -eq 2500 ]
  [ "$(tail -n 1 "$BATS_TEST_TMPDIR/all")" = 'seen 100000000000000000000000000009C4 2500 - -' ]
}

@test "the inventory of a damaged host is an alarm" {
  issue
  echo x >"$state/fence/$serial"
  inventory
  expect 70 "fence/$serial is damaged"
  echo "10 $attempt" >"$state/fence/$serial"
  rm "$state/intent/$serial"
  inventory
  expect 70 "intent/$serial is lost"
}

@test "the inventory takes a serial and nothing else" {
  serve < <(request verb=inventory)
  expect 64 'the key serial is missing'
  serve < <(request verb=inventory "serial=$first" "owner=$attempt")
  expect 64 'does not take the key owner'
}

@test "the first platform that changes something owns the host" {
  issue "$attempt"
  [ ! -e "$state/etc/owner" ]
  ask issue "days=$days" "owner=$attempt"
  expect 0
  [ "$(<"$state/etc/owner")" = "$attempt" ]
  ask ack "owner=$attempt"
  expect 0
}

@test "another platform, or one without a name, is refused before anything is changed" {
  ask issue "days=$days" "owner=$attempt"
  cp -a "$state" "$BATS_TEST_TMPDIR/before"
  fence=11
  ask revoke "owner=$other_attempt"
  expect 77 "this host belongs to the platform $attempt"
  ask revoke
  expect 77 'remove etc/owner'
  diff -r -x tmp "$BATS_TEST_TMPDIR/before" "$state"
  rm "$state/etc/owner"
  ask revoke "owner=$other_attempt"
  expect 0
}

@test "an owner is 32 digits, and a damaged one is an alarm" {
  ask issue "days=$days" owner=me
  expect 64 'owner must be'
  echo >"$state/etc/owner"
  ask issue "days=$days" "owner=$attempt"
  expect 70 'etc/owner is damaged'
  echo any >"$state/etc/owner"
  ask issue "days=$days" "owner=$attempt"
  expect 0
  ask issue "days=$days"
  expect 0
}
