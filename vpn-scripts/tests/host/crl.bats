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

# As OpenVPN judges: is the server's certificate good by the list in force?
lets_in() {
  openssl verify -crl_check -CAfile "$state/ca/ca.crt" -CRLfile "$state/pub/crl.pem" "$state/server/server.crt" 2>&1
}

# revoke_many N: N serials are revoked, as a host that has done it for long would
# hold them.
revoke_many() {
  local i hex
  for ((i = 1; i <= $1; i++)); do
    printf -v hex '%032X' "$i"
    hex=1${hex:1}
    printf '30210210%s170D3235303130313030303030305A\n' "$hex" >>"$state/revoked.log"
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
  crl_verifies
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

@test "a list that is not valid yet is told, and made anew, by a renewal, a revocation and its repeat" {
  local tomorrow=$((EPOCHSECONDS + 86400)) last way
  issue
  for way in crl 'ask revoke' 'ask revoke'; do
    echo "# $way"
    at "$tomorrow" crl
    expect 0
    last=$(mtime)
    [ "$last" -ge "$tomorrow" ]
    run -2 lets_in
    [[ $output = *'CRL is not yet valid'* ]]
    serve < <(request verb=check)
    expect 70 'is not valid yet, so OpenVPN refuses everybody; see to the clock, then the verb crl makes a new one'
    serve < <(request verb=hello)
    expect 0
    [ "$(value crl_next_update)" = 0 ]
    [ "$(value crl_this_update)" -ge "$tomorrow" ]

    $way
    expect 0
    [ "$(value crl_number)" = "$(mtime)" ]
    [ "$(mtime)" -gt "$last" ]
    [ "$(($(value crl_next_update) - EPOCHSECONDS))" -le "$((30 * 86400))" ]
    crl_verifies
    lets_in
    serve < <(request verb=check)
    expect 0
    serve < <(request verb=hello)
    [ "$(value crl_next_update)" -gt "$EPOCHSECONDS" ]
    [ "$(value crl_this_update)" -le "$EPOCHSECONDS" ]
  done
  [ "$(serials)" = "$serial" ]
}

@test "a list is valid from its own second on, and then a repeat makes none" {
  local now=$EPOCHSECONDS
  touch -d '@1000000000' "$state/pub/crl.pem"
  at "$now" ask revoke
  expect 0
  [ "$(value crl_number)" -eq "$now" ]
  at "$now" ask revoke
  expect 0
  [ "$(value crl_number)" -eq "$now" ]
  at "$((now - 1))" ask revoke
  expect 0
  [ "$(value crl_number)" -eq "$((now + 1))" ]
  at "$((now - 1))" ask revoke
  [ "$(value crl_number)" -eq "$((now + 1))" ]
  lets_in
}

# After the clock was set right, until it has come to the number of the list that was made before.
@test "the number goes on from that of a list that is not valid yet, however many come after it" {
  local ahead=$((EPOCHSECONDS + 86400)) n
  at "$ahead" crl
  ahead=$(mtime)
  for n in 1 2 3; do
    crl
    expect 0
    [ "$(value crl_number)" -eq "$((ahead + n))" ]
    [ "$(value crl_this_update)" -le "$EPOCHSECONDS" ]
    [ "$((16#$(openssl crl -in "$state/pub/crl.pem" -noout -crlnumber | sed 's/.*=\(0x\)*//')))" -eq "$((ahead + n))" ]
    lets_in
  done
}

@test "the entries of a list that is not valid yet are kept, though log and tombstones are lost" {
  revoke_many 3
  at "$((EPOCHSECONDS + 86400))" crl
  serials >"$BATS_TEST_TMPDIR/serials"
  rm "$state/revoked.log" "$state/revoked/10000000000000000000000000000002"
  ask revoke
  expect 0
  echo "$serial" >>"$BATS_TEST_TMPDIR/serials"
  [ "$(serials)" = "$(sort "$BATS_TEST_TMPDIR/serials")" ]
  lets_in
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
    [ "$(stat -c %s "$state/revoked.log")" -eq "$size" ]
  done
}

@test "a lost or empty log, or one of an earlier version, is rebuilt from the tombstones" {
  revoke_many 3
  crl
  cp "$state/revoked.log" "$BATS_TEST_TMPDIR/log"
  local damage
  for damage in ': >' 'rm' "printf '\nR\t491231235959Z\t250101000000Z\t10000000000000000000000000000001\tunknown\t/CN=c1\n' >"; do
    eval "$damage$state/revoked.log"  2>/dev/null || eval "$damage $state/revoked.log"
    crl
    expect 0
    [ "$(serials)" = "$(ls "$state/revoked")" ]
    cmp "$state/revoked.log" "$BATS_TEST_TMPDIR/log"
  done
}

@test "garbage and doubles in the log do no harm" {
  issue
  ask revoke
  cp "$state/revoked.log" "$BATS_TEST_TMPDIR/log"
  {
    cat "$BATS_TEST_TMPDIR/log"
    printf '30210210%s170D3235303130313030303030305\n' "$other_serial"
    printf '30210210XYZ170D3235303130313030303030305A\n'
    head -c 300 /dev/urandom
    printf '\n'
  } >>"$state/revoked.log"
  crl
  expect 0
  [ "$(serials)" = "$serial" ]
}

# What was restored from an old copy, and then revoked into, must not be taken for whole.
@test "a revocation with a log that is behind the list in force loses no entry" {
  revoke_many 3
  crl
  sed -i 1d "$state/revoked.log"
  ask revoke
  expect 0
  [ "$(serials)" = "$(ls "$state/revoked")" ]
  [ "$(serials | wc -l)" -eq 4 ]
}

# As after a restore of an old copy that spared the list.
@test "a renewal keeps whom the list in force refuses, though log and tombstones are lost" {
  local way
  for way in renewal revocation; do
    revoke_many 5
    crl
    cp "$state/pub/crl.pem" "$BATS_TEST_TMPDIR/old"
    serials >"$BATS_TEST_TMPDIR/serials"
    rm "$state/revoked/10000000000000000000000000000002" "$state/revoked/10000000000000000000000000000005" "$state/revoked.log"
    if [ "$way" = renewal ]; then
      crl
    else
      ask revoke
      echo "$serial" >>"$BATS_TEST_TMPDIR/serials"
    fi
    expect 0
    crl_verifies
    [ "$(serials)" = "$(sort "$BATS_TEST_TMPDIR/serials")" ]
    crl
    [ "$(serials)" = "$(sort "$BATS_TEST_TMPDIR/serials")" ]
    rm -f "$state"/revoked/* "$state/revoked.log" "$state/pub/crl.pem"
  done
}

@test "a renewal keeps whom the list in force refuses, though the log tells it in another way and the tombstone is lost" {
  local damage
  revoke_many 5
  crl
  serials >"$BATS_TEST_TMPDIR/serials"
  cp -a "$state" "$BATS_TEST_TMPDIR/before"
  # A letter that is small, and a newline that is lost.
  for damage in '4s/5A$/5a/' '4{N;s/\n//}'; do
    rm -rf "$state"
    cp -a "$BATS_TEST_TMPDIR/before" "$state"
    rm "$state/revoked/10000000000000000000000000000004"
    sed -i "$damage" "$state/revoked.log"
    crl
    expect 0
    crl_verifies
    serials | cmp - "$BATS_TEST_TMPDIR/serials"
  done
}

@test "a revocation keeps whom the list in force refuses, though log and tombstones are of a backup" {
  revoke_many 5
  crl
  serials >"$BATS_TEST_TMPDIR/serials"
  rm "$state/revoked/10000000000000000000000000000004" "$state/revoked/10000000000000000000000000000005"
  local time buried
  time=$(sed -n '1s/^30210210.\{32\}//p' "$state/revoked.log")
  sed -i 4,5d "$state/revoked.log"
  # Others have buried theirs, and have no list yet: the log is longer than the list in force.
  for buried in 2000000000000000000000000000000{1,2,3}; do
    echo "$name $client 1700000000" >"$state/revoked/$buried"
    echo "30210210$buried$time" >>"$state/revoked.log"
    echo "$buried" >>"$BATS_TEST_TMPDIR/serials"
  done
  ask revoke
  expect 0
  echo "$serial" >>"$BATS_TEST_TMPDIR/serials"
  crl_verifies
  [ "$(serials)" = "$(sort "$BATS_TEST_TMPDIR/serials")" ]
}

@test "a short serial is not found inside of another" {
  # In it stands what an entry of the serial 5 begins with.
  local long=803012020105170D4142434445464748
  echo "old $client 1700000000" >"$state/revoked/$long"
  crl
  serial=00000000000000000000000000000005
  echo "$name $client 1700000000" >"$state/revoked/$serial"
  echo "1 $attempt" >"$state/fence/$serial"
  ask revoke
  expect 0
  crl_verifies
  [ "$(serials | xargs)" = "05 $long" ]
}

@test "a list in force that the CA has not signed adds nobody to the next" {
  revoke_many 3
  crl
  openssl crl -in "$state/pub/crl.pem" -outform DER -out "$BATS_TEST_TMPDIR/der"
  # One serial is another, and the signature does not fit any more.
  perl -0777 -pi -e 's/\x10\K\x10(?=\0{14}\x02)/\x20/' "$BATS_TEST_TMPDIR/der"
  openssl crl -inform DER -in "$BATS_TEST_TMPDIR/der" -out "$state/pub/crl.pem"
  [ "$(serials | grep -c '^2')" -eq 1 ]
  crl
  expect 0
  [ "$(serials)" = "$(ls "$state/revoked")" ]
}

@test "a renewal that is cut short leaves the old list whole, and the next one is right" {
  revoke_many 3
  crl
  cp "$state/pub/crl.pem" "$BATS_TEST_TMPDIR/old"
  bad_openssl '/usr/bin/openssl "$@"; kill -9 $PPID'
  PATH=$BATS_TEST_TMPDIR/bin:$PATH crl
  [ "$status" -ne 0 ]
  cmp "$state/pub/crl.pem" "$BATS_TEST_TMPDIR/old"
  crl
  expect 0
  crl_verifies
  [ "$(serials)" = "$(ls "$state/revoked")" ]
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

# An openssl that does what SCRIPT says when it is asked to sign.
bad_openssl() {
  mkdir -p "$BATS_TEST_TMPDIR/bin"
  printf '#!/bin/sh\ncase " $* " in\n  *" -sign "*) %s ;;\n  *) exec /usr/bin/openssl "$@" ;;\nesac\n' "$1" >"$BATS_TEST_TMPDIR/bin/openssl"
  chmod +x "$BATS_TEST_TMPDIR/bin/openssl"
}

@test "a CRL that does not verify is not published, be it short or long" {
  issue
  ask revoke
  cp "$state/pub/crl.pem" "$BATS_TEST_TMPDIR/old"
  /usr/bin/openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$BATS_TEST_TMPDIR/foreign.key"
  local n
  for n in 0 1100; do
    revoke_many "$n"
    bad_openssl "/usr/bin/openssl dgst -sha256 -sign $BATS_TEST_TMPDIR/foreign.key -out tmp/crl.sig"
    PATH=$BATS_TEST_TMPDIR/bin:$PATH crl
    expect 69 'does not verify'
    serial=$other_serial name=bob client=$other_client PATH=$BATS_TEST_TMPDIR/bin:$PATH ask revoke
    expect 69 'does not verify'
    bad_openssl 'cat >/dev/null && echo nothing >tmp/crl.sig'
    PATH=$BATS_TEST_TMPDIR/bin:$PATH crl
    expect 69 'does not verify'
    bad_openssl 'cat >/dev/null && : >tmp/crl.sig'
    PATH=$BATS_TEST_TMPDIR/bin:$PATH crl
    expect 69 'make the CRL'
    bad_openssl 'exit 1'
    PATH=$BATS_TEST_TMPDIR/bin:$PATH crl
    expect 69 'make the CRL'
    cmp "$state/pub/crl.pem" "$BATS_TEST_TMPDIR/old"
  done
}

# The list in force is verified first, because the log has not all of it.
@test "that the list in force verifies says nothing of the next one" {
  issue
  ask revoke
  cp "$state/pub/crl.pem" "$BATS_TEST_TMPDIR/old"
  /usr/bin/openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$BATS_TEST_TMPDIR/foreign.key"
  bad_openssl "/usr/bin/openssl dgst -sha256 -sign $BATS_TEST_TMPDIR/foreign.key -out tmp/crl.sig"
  : >"$state/revoked.log"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH crl
  expect 69 'does not verify'
  cmp "$state/pub/crl.pem" "$BATS_TEST_TMPDIR/old"
}

@test "a revocation is not confirmed before its CRL is in place for good" {
  issue
  mkdir "$BATS_TEST_TMPDIR/bin"
  printf '#!/bin/sh\n[ "$*" != pub ] || exit 1\nexec /usr/bin/sync "$@"\n' >"$BATS_TEST_TMPDIR/bin/sync"
  chmod +x "$BATS_TEST_TMPDIR/bin/sync"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH ask revoke
  expect 74 'check free space'
  # A repeat finds the serial in the CRL, and has to wait for the disk, too.
  PATH=$BATS_TEST_TMPDIR/bin:$PATH ask revoke
  expect 74 'check free space'
  ask revoke
  expect 0
}

# Lengths of one, two, three and four bytes in DER.
@test "lists of all sizes are read by OpenSSL, and say the same as the tombstones" {
  local n
  for n in 1 3 4 7 8 1871 1873; do
    revoke_many "$n"
    ask revoke
    expect 0
    crl_verifies
    [ "$(serials)" = "$(ls "$state/revoked")" ]
    rm "$state"/revoked/* "$state/revoked.log" "$state"/fence/* "$state/pub/crl.pem"
    crl
    expect 0
    [ "$(serials)" = '' ]
  done
}

@test "dates beyond 2050 are written as the standard wants them" {
  issue
  ask revoke
  printf '%s %s 9999999999\n' "$name" "$client" >"$state/revoked/$serial"
  rm "$state/revoked.log"
  sed -i 's/^crl_days=.*/crl_days=9999/' "$state/etc/host.conf"
  crl
  expect 0
  [ "$(openssl crl -in "$state/pub/crl.pem" -outform DER | grep -caP '\x18\x0f20[0-9]{12}Z')" -ge 1 ]
  crl_text | grep -q 'Revocation Date: Dec 31 23:59:59 2049 GMT'
  serve < <(request verb=check)
  expect 0
  [ "$(value crl_next_update)" -gt "$((EPOCHSECONDS + 9998 * 86400))" ]
}

@test "directories that OpenVPN's user cannot pass are told" {
  chmod 700 "$BATS_TEST_TMPDIR"
  crl
  expect 70 'chmod o+x'
  chmod 711 "$BATS_TEST_TMPDIR"
  crl
  expect 0
}

@test "a directory that is open to all but OpenVPN's own group is told" {
  [ "$(id -u)" -eq 0 ] || skip 'needs root'
  chgrp "$(id -gn nobody)" "$BATS_TEST_TMPDIR"
  chmod 701 "$BATS_TEST_TMPDIR"
  crl
  expect 70 'cannot reach'
  chgrp 0 "$BATS_TEST_TMPDIR"
  crl
  expect 0
}

# counted: as crl; sets programs, how many of them that took.
counted() {
  if interrupted before 1000000 < <(request verb=crl); then return 1; fi
  read_reply
  expect 0
  programs=$(stat -c %s "$BATS_TEST_TMPDIR/shim/calls")
}

@test "a CRL of 800 entries takes no more programs than one of none" {
  use_shims
  counted
  local few=$programs
  [ "$few" -gt 0 ]
  revoke_many 800
  counted
  [ "$programs" -eq "$few" ]
  [ "$(serials | wc -l)" -eq 800 ]
}
