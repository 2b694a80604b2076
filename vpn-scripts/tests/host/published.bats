#!/usr/bin/env bats
# published: what the CRL in force really has, whatever the tombstones say.

setup_file() {
  load ../helper
  make_template
}

setup() {
  load ../helper
  use_template
}

published() { from published "$@"; }

@test "a CRL without entries has none" {
  published
  expect 0
  [ "$(value next)" = none ]
  [ "$(payload)" = '' ]
  [ "$(value crl_number)" = "$(stat -c %Y "$state/pub/crl.pem")" ]
}

@test "the entries are told with the time of their revocation" {
  issue
  ask revoke
  serial=$other_serial client=$other_client name=bob
  ask revoke
  published
  expect 0
  [ "$(payload | cut -d ' ' -f 1)" = "41234567890ABCDEF01234567890ABCD"$'\n'"$other_serial" ]
  local buried
  read -r _ _ buried <"$state/revoked/$other_serial"
  [ "$(payload | sed -n '2s/.* //p')" = "$buried" ]
}

@test "it is the CRL that is asked, not the tombstones" {
  cp -p "$state/pub/crl.pem" "$BATS_TEST_TMPDIR/older"
  issue
  ask revoke
  cp -p "$BATS_TEST_TMPDIR/older" "$state/pub/crl.pem"
  published
  expect 0
  [ "$(payload)" = '' ]
}

@test "a CRL that another program made with our CA is read as well: serials of any size, and reasons" {
  mkdir "$BATS_TEST_TMPDIR/ca"
  printf 'R\t491231000000Z\t250101000000Z,keyCompromise\t01\tunknown\t/CN=a\nR\t491231000000Z\t250102000000Z\tF0000000000000000000000000000002\tunknown\t/CN=b\n' \
    >"$BATS_TEST_TMPDIR/ca/index.txt"
  printf '[ca]\ndefault_ca=x\n[x]\ndatabase=%s\ndefault_md=sha256\ndefault_crl_days=9\n' "$BATS_TEST_TMPDIR/ca/index.txt" >"$BATS_TEST_TMPDIR/ca/cnf"
  openssl ca -config "$BATS_TEST_TMPDIR/ca/cnf" -gencrl -keyfile "$state/ca/ca.key" -cert "$state/ca/ca.crt" -out "$state/pub/crl.pem"
  published 00000000000000000000000000000000
  expect 0
  [ "$(payload)" = "00000000000000000000000000000001 1735689600"$'\n'"F0000000000000000000000000000002 1735776000" ]
}

@test "a CRL that does not verify is an alarm" {
  sed -n '/BEGIN/,$p' "$state/pub/crl.pem" | sed '3s/^..../AAAA/' >"$BATS_TEST_TMPDIR/bad"
  cat "$BATS_TEST_TMPDIR/bad" >"$state/pub/crl.pem"
  published
  expect 70 'the verb crl makes a new one'
  rm "$state/pub/crl.pem"
  published
  expect 70 'the verb crl makes a new one'
}

@test "pages follow each other, each entry once" {
  local i hex from=$first pages=0
  for ((i = 1; i <= 10001; i++)); do
    printf -v hex '1%031X' "$i"
    printf 'c %s 1735689600\n' "$client" >"$state/revoked/$hex"
  done
  serve < <(request verb=crl)
  expect 0
  : >"$BATS_TEST_TMPDIR/all"
  until [ "$from" = none ]; do
    published "$from"
    expect 0
    payload >>"$BATS_TEST_TMPDIR/all"
    from=$(value next)
    pages=$((pages + 1))
  done
  [ "$pages" -eq 2 ]
  [ "$(cut -d ' ' -f 1 "$BATS_TEST_TMPDIR/all" | sort -u | wc -l)" -eq 10001 ]
}

@test "it takes a serial and nothing else" {
  serve < <(request verb=published)
  expect 64 'the key serial is missing'
}
