#!/usr/bin/env bats
# The CRL: complete, verified, and always newer than the one before.

setup_file() {
  load ../helper
  make_template
}

setup() {
  load ../helper
  use_template
}

crl() { serve < <(request verb=crl); }
mtime() { stat -c %Y "$state/pub/crl.pem"; }
serials() { crl_text | sed -n 's/^ *Serial Number: //p' | sort; }

# revoke_many N: N serials are revoked, as a host that has done it for long would
# hold them.
revoke_many() {
  local i hex
  for ((i = 1; i <= $1; i++)); do
    printf -v hex '%032X' "$i"
    hex=1${hex:1}
    printf '\nR\t491231235959Z\t250101000000Z\t%s\tunknown\t/CN=c%s\n' "$hex" "$i" >>"$state/revoked.log"
    printf 'c%s %s 1735689600\n' "$i" "$client" >"$state/revoked/$hex"
  done
}

@test "crl renews the list: verified, readable by OpenVPN's user, valid as long as asked" {
  crl
  expect 0
  local now=$EPOCHSECONDS
  [ "$(value crl_number)" = "$(mtime)" ]
  [ $(($(value crl_next_update) - now)) -le $((30 * 86400)) ]
  [ $(($(value crl_next_update) - now)) -gt $((30 * 86400 - 60)) ]
  [ "$(stat -c %a "$state/pub/crl.pem") $(stat -c %a "$state/pub") $(stat -c %a "$state")" = '644 755 711' ]
  run -0 openssl crl -in "$state/pub/crl.pem" -CAfile "$state/ca/ca.crt" -noout
  [[ $output == *'verify OK'* ]]
}

@test "the time of the CRL rises by a second at least, however fast they come, and is its number" {
  local last n
  last=$(mtime)
  for n in 1 2 3 4 5; do
    crl
    expect 0
    [ "$(mtime)" -gt "$last" ]
    last=$(mtime)
    [ "$(crl_text | sed -n '/CRL Number/{n;s/ //g;p}')" = "$last" ] || [ "$((16#$(openssl crl -in "$state/pub/crl.pem" -noout -crlnumber | sed 's/.*=\(0x\)*//')))" -eq "$last" ]
  done
}

@test "the time rises even when the old CRL is ahead of the clock" {
  local ahead=$((EPOCHSECONDS + 86400))
  touch -d "@$ahead" "$state/pub/crl.pem"
  crl
  [ "$(mtime)" -eq $((ahead + 1)) ]
}

@test "the CRL holds every revoked serial, and no other" {
  revoke_many 100
  issue
  ask revoke
  expect 0
  [ "$(serials)" = "$(ls "$state/revoked")" ]
  [ "$(serials | wc -l)" -eq 101 ]
}

@test "a torn last line of the log is completed from its tombstone" {
  issue
  ask revoke
  local size
  size=$(stat -c %s "$state/revoked.log")
  for cut in 1 5 40 70; do
    truncate -s "$((size - cut))" "$state/revoked.log"
    crl
    expect 0
    [ "$(serials)" = "$serial" ]
  done
}

@test "a lost or empty log is rebuilt from the tombstones" {
  revoke_many 3
  : >"$state/revoked.log"
  crl
  expect 0
  [ "$(serials)" = "$(ls "$state/revoked")" ]
  [ "$(grep -c . "$state/revoked.log")" -eq 3 ]
  rm "$state/revoked.log"
  crl
  expect 74
}

@test "garbage and doubles in the log do no harm" {
  issue
  ask revoke
  cp "$state/revoked.log" "$BATS_TEST_TMPDIR/log"
  {
    printf '\n'
    cat "$BATS_TEST_TMPDIR/log"
    printf 'R\t491231235959Z\t250101000000Z\tXYZ\tunknown\t/CN=x\n'
    printf 'V\t491231235959Z\t\t%s\tunknown\t/CN=x\n' "$other_serial"
    head -c 300 /dev/urandom
    printf '\n'
  } >>"$state/revoked.log"
  crl
  expect 0
  [ "$(serials)" = "$serial" ]
}

@test "a tombstone that cannot be read is an alarm, and the old CRL stays" {
  issue
  ask revoke
  : >"$state/revoked.log"
  : >"$state/revoked/$serial"
  cp "$state/pub/crl.pem" "$BATS_TEST_TMPDIR/old"
  crl
  expect 70
  cmp "$state/pub/crl.pem" "$BATS_TEST_TMPDIR/old"
  rm "$state/revoked/$serial"
  : >"$state/revoked/strange"
  crl
  expect 70
}

@test "a CRL of another CA, or with an entry missing, is not published" {
  issue
  ask revoke
  cp "$state/pub/crl.pem" "$BATS_TEST_TMPDIR/old"
  use_shims
  # An openssl that makes a list, and not the one that was asked for.
  mkdir "$BATS_TEST_TMPDIR/bin"
  cp -a "$BATS_FILE_TMPDIR/template" "$BATS_TEST_TMPDIR/foreign"
  VPN_HOST_SHELL=$shell "$shell" "$libexec/setup" --state "$BATS_TEST_TMPDIR/foreign" --remote x --management none >/dev/null
  cat >"$BATS_TEST_TMPDIR/bin/openssl" <<END
#!/bin/sh
case " \$* " in
  *' -gencrl '*) cp "$BATS_TEST_TMPDIR/list" tmp/crl.pem ;;
  *) exec /usr/bin/openssl "\$@" ;;
esac
END
  chmod +x "$BATS_TEST_TMPDIR/bin/openssl"
  cp "$BATS_TEST_TMPDIR/foreign/pub/crl.pem" "$BATS_TEST_TMPDIR/list" # ours, but empty
  PATH=$BATS_TEST_TMPDIR/bin:$PATH crl
  expect 69 'lacks entries'
  rm "$BATS_TEST_TMPDIR/foreign/ca/"*
  "$shell" "$libexec/setup" --state "$BATS_TEST_TMPDIR/foreign" --remote x --management none >/dev/null
  cp "$BATS_TEST_TMPDIR/foreign/pub/crl.pem" "$BATS_TEST_TMPDIR/list" # another CA's
  PATH=$BATS_TEST_TMPDIR/bin:$PATH crl
  expect 69 'does not verify'
  : >"$BATS_TEST_TMPDIR/list"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH crl
  expect 69
  cmp "$state/pub/crl.pem" "$BATS_TEST_TMPDIR/old"
}

@test "directories that OpenVPN's user cannot pass are told" {
  chmod 700 "$BATS_TEST_TMPDIR"
  crl
  expect 70 'chmod o+x'
  chmod 711 "$BATS_TEST_TMPDIR"
  crl
  expect 0
}

@test "a CRL of 800 entries is made in a moment" {
  revoke_many 800
  SECONDS=0
  crl
  expect 0
  [ "$SECONDS" -le 5 ]
  [ "$(serials | wc -l)" -eq 800 ]
}
