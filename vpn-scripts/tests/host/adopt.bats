#!/usr/bin/env bats
# An easy-rsa PKI is taken over as it is: by the program of Debian's package, with its own defaults.

setup_file() {
  load ../helper
  chmod o+x "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR"
  export EASYRSA_BATCH=1 EASYRSA_PKI=$BATS_FILE_TMPDIR/pki
  {
    easyrsa init-pki
    easyrsa --req-cn=OldCA build-ca nopass
    easyrsa build-server-full vpn-gw nopass
    for name in ann ben cleo john.doe; do easyrsa build-client-full "$name" nopass; done
    easyrsa revoke ben
    easyrsa build-client-full ben nopass
    easyrsa gen-crl
  } >"$BATS_FILE_TMPDIR/easyrsa.log" 2>&1
}

setup() {
  load ../helper
  export EASYRSA_BATCH=1
  chmod o+x "$BATS_TEST_TMPDIR" "${BATS_TEST_TMPDIR%/*}"
  state=$BATS_TEST_TMPDIR/state
  pki=$BATS_TEST_TMPDIR/pki
  cp -a "$BATS_FILE_TMPDIR/pki" "$pki"
}

easyrsa() { /usr/share/easy-rsa/easyrsa "$@"; }

adopt() { # OPTION...
  run -"${want:-0}" "$shell" "$libexec/setup" --state "$state" --remote vpn.example.net --management none --adopt "$pki" "$@"
}

inventory() { from inventory; }

# OpenSSL and index.txt leave leading zeros out: one certificate in 256 has them.
padded() { sed 's/.*/00000000000000000000000000000000&/; s/.*\(.\{32\}\)$/\1/'; }
serial_of() { openssl x509 -in "$pki/issued/$1.crt" -noout -serial | sed 's/serial=//' | padded; }
# index_serial PATTERN: of the first line that fits, as index.txt has it.
index_serial() { grep -m 1 "$1" "$pki/index.txt" | cut -f 4; }
line_of() { payload | grep " $(serial_of "$1") "; }

# is_good NAME: by the CRL in force, its certificate lets in.
is_good() {
  openssl verify -crl_check -CAfile "$pki/ca.crt" -CRLfile "$state/pub/crl.pem" "$pki/issued/$1.crt" >/dev/null 2>&1
}

# as NAME: the fields of a request are those of this adopted client.
as() {
  inventory
  name=$1 fence=${2:-5}
  read -r _ serial _ _ client < <(line_of "$1")
}

@test "CA and certificates are taken over, revoked ones as revoked, and nothing is issued" {
  adopt
  [ "${lines[0]}" = 'adopted: 3 new clients, 1 revoked; left: 1' ]
  diff <(openssl x509 -in "$pki/ca.crt" -outform DER) <(openssl x509 -in "$state/ca/ca.crt" -outform DER)
  inventory
  expect 0
  [ "$(payload | cut -d ' ' -f 1 | sort | uniq -c | xargs)" = '3 adopted 1 foreign 1 revoked' ]
  for name in ann ben cleo; do
    [[ $(line_of "$name") =~ ^adopted\ [0-9A-F]{32}\ 1\ $name\ cli_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$ ]]
    block cert <"$state/issued/$(serial_of "$name")" | diff - <(openssl x509 -in "$pki/issued/$name.crt")
    is_good "$name"
  done
  crl_verifies
  [ "$(crl_text | grep -c 'Serial Number')" = 1 ]
  serve < <(request verb=check)
  expect 0
}

@test "the revoked one keeps the time of its revocation" {
  adopt
  local told
  told=$(sed -n 's/^R\t[^\t]*\t\([0-9]*\)Z.*/\1/p' "$pki/index.txt")
  from published
  [ "$(date -u -d "@$(payload | cut -d ' ' -f 2)" +%y%m%d%H%M%S)" = "$told" ]
}

@test "adopting again changes nothing" {
  adopt
  cp -a "$state" "$BATS_TEST_TMPDIR/before"
  adopt
  [ "${lines[0]}" = 'adopted: 0 new clients, 0 revoked; left: 1' ]
  diff -r -x tmp -x pub -x host.conf "$BATS_TEST_TMPDIR/before" "$state"
  "$shell" "$libexec/setup" --state "$state" --remote vpn.example.net --management none >/dev/null
  is_good ann
}

@test "an adoption that was cut short anywhere is finished by the next" {
  use_shims
  local n=1 step=3
  # On a host /bin/sh is dash: it gets more of them.
  [ "$shell" = dash ] || step=7
  while with_shim before "$n" "$shell" "$libexec/setup" --state "$state" --remote vpn.example.net --management none --adopt "$pki" >/dev/null 2>&1; do
    echo "# $n: $(<"$BATS_TEST_TMPDIR/shim/fired")"
    adopted_whole
    n=$((n + step))
  done
  [ "$n" -gt 20 ]
}

# Whatever was cut, the next adoption ends it.
adopted_whole() {
  adopt
  inventory
  [ "$(payload | cut -d ' ' -f 1 | sort | uniq -c | xargs)" = '3 adopted 1 foreign 1 revoked' ]
  [ "$(files issued) $(files revoked) $(files foreign) $(files names) $(files pub/admitted)" = '3 1 1 3 3' ]
  is_good ann
  serve < <(request verb=check)
  expect 0
  rm -rf "$state"
}

@test "an adoption whose writes are killed at any time is finished by the next" {
  local call n step=1 killed=0
  [ "$shell" = dash ] || step=2
  for call in /^rename /^unlink; do
    n=1
    while ! strace -f -o "$BATS_TEST_TMPDIR/strace" -e trace="$call" -e inject="$call:signal=SIGKILL:when=$n" \
      "$shell" "$libexec/setup" --state "$state" --remote vpn.example.net --management none --adopt "$pki" >/dev/null 2>&1; do
      grep -q 'killed by SIGKILL' "$BATS_TEST_TMPDIR/strace"
      adopted_whole
      n=$((n + step)) killed=$((killed + 1))
    done
    rm -rf "$state"
  done
  [ "$killed" -gt 5 ]
}

@test "a revocation at which an adoption was killed is finished by the next" {
  adopt
  local n=1 cleo
  cleo=$(serial_of cleo)
  EASYRSA_PKI=$pki easyrsa revoke cleo >/dev/null 2>&1
  cp -a "$state" "$BATS_TEST_TMPDIR/before"
  while ! strace -f -o "$BATS_TEST_TMPDIR/strace" -e trace=/^unlink -e inject="/^unlink:signal=SIGKILL:when=$n" \
    "$shell" "$libexec/setup" --state "$state" --remote vpn.example.net --management none --adopt "$pki" >/dev/null 2>&1; do
    grep -q 'killed by SIGKILL' "$BATS_TEST_TMPDIR/strace"
    adopt
    [ ! -e "$state/issued/$cleo" ] && [ ! -e "$state/names/cleo" ]
    serve < <(request verb=check)
    expect 0
    rm -rf "$state"
    cp -a "$BATS_TEST_TMPDIR/before" "$state"
    n=$((n + 1))
  done
  [ "$n" -gt 3 ]
}

@test "an adopted client is revoked like any other, and the CRL has both" {
  adopt
  as ann
  ask revoke
  expect 0 'published=yes'
  run ! is_good ann
  is_good ben
  is_good cleo
  [ "$(crl_text | grep -c 'Serial Number')" = 2 ]
  crl_verifies
  adopt
  [ "${lines[0]}" = 'adopted: 0 new clients, 0 revoked; left: 1' ]
  run ! is_good ann
  ask issue
  expect 66
}

@test "serials of any size are revoked: with the first bit set, short, and ours among them" {
  adopt
  as ann
  for serial in 00000000000000000000000000000001 000000000000000000000000000000FF 80000000000000000000000000000000 \
    00FFEEDDCCBBAA998877665544332211 0F000000000000000000000000000000 "$serial" "$other_serial"; do
    mkdir -p "$BATS_TEST_TMPDIR/wanted"
    : >"$BATS_TEST_TMPDIR/wanted/$serial"
    name=x${serial:0:8} client=cli_${serial,,}
    [ "$serial" != "$(serial_of ann)" ] || as ann
    ask revoke
    expect 0
    from published
    [ "$(payload | cut -d ' ' -f 1 | grep -vF "$(index_serial '^R' | padded)")" = "$(ls "$BATS_TEST_TMPDIR/wanted")" ]
    crl_verifies
  done
  # Made again from the tombstones alone, it is the same.
  : >"$state/revoked.log"
  serve < <(request verb=crl)
  expect 0
  [ "$(crl_text | grep -c 'Serial Number')" = 8 ]
  crl_verifies
  serve < <(request verb=check)
  expect 0
}

@test "a short serial that was buried, and is in no list yet, gets into one" {
  adopt
  serial=00000000000000000000000000000001 name=one
  echo "$fence $attempt" >"$state/fence/$serial"
  echo "$name $client 1700000000" >"$state/revoked/$serial"
  ask revoke
  expect 0 'published=yes'
  crl_text | grep -qx ' *Serial Number: 01'
}

@test "what was revoked with easy-rsa later is revoked by the next adoption" {
  adopt
  EASYRSA_PKI=$pki easyrsa revoke cleo >/dev/null 2>&1
  cp -a "$BATS_FILE_TMPDIR/pki/issued/cleo.crt" "$pki/issued/"
  adopt
  [ "${lines[0]}" = 'adopted: 0 new clients, 1 revoked; left: 1' ]
  run ! is_good cleo
  inventory
  [[ $(line_of cleo) =~ ^revoked\ .*\ cleo\ cli_ ]]
}

@test "what only the CRL still has as revoked stays revoked" {
  sed -i '/^R/d' "$pki/index.txt"
  adopt
  [ "${lines[0]}" = 'adopted: 3 new clients, 1 revoked; left: 1' ]
  [ "$(crl_text | grep -c 'Serial Number')" = 1 ]
  inventory
  payload | grep -q '^revoked [0-9A-F]* 1 - -$'
}

@test "a name with spaces and signs is told in one word" {
  EASYRSA_PKI=$pki easyrsa --req-cn='Zoe (work)' gen-req zoe nopass >/dev/null 2>&1
  EASYRSA_PKI=$pki easyrsa sign-req client zoe >/dev/null 2>&1
  adopt
  inventory
  [ "$(line_of zoe)" = "foreign $(serial_of zoe) 0 Zoe%20%28work%29 -" ]
}

@test "a name that no client can have is left, told, and ended by its serial" {
  adopt
  [[ ${lines[1]} = "  left: john.doe $(serial_of john.doe): no client can have this name"* ]]
  inventory
  [ "$(line_of john.doe)" = "foreign $(serial_of john.doe) 0 john.doe -" ]
  is_good john.doe
  "$shell" "$libexec/setup" --state "$state" --revoke-foreign "$(serial_of john.doe)"
  run ! is_good john.doe
  is_good ann
  inventory
  [ "$(line_of john.doe)" = "revoked $(serial_of john.doe) 0 - -" ]
  run -65 "$shell" "$libexec/setup" --state "$state" --revoke-foreign "$(serial_of ann)"
}

@test "reserved names are left as well, in any letter case" {
  local name
  for name in Default UNDEF undef; do EASYRSA_PKI=$pki easyrsa build-client-full "$name" nopass >/dev/null 2>&1; done
  adopt
  [ "${lines[0]}" = 'adopted: 3 new clients, 1 revoked; left: 4' ]
  for name in Default UNDEF undef; do
    [[ $output = *"  left: $name $(serial_of "$name"): no client can have this name"* ]]
    [ "$(<"$state/foreign/$(serial_of "$name")")" = "name $name" ]
    [ ! -e "$state/names/$name" ]
  done
  "$shell" "$libexec/setup" --state "$state" --revoke-foreign "$(serial_of UNDEF)"
  run ! is_good UNDEF
}

@test "of two valid certificates with one name the newer is the client's, and a lost file is left" {
  sed -i 's/yes/no/' "$pki/index.txt.attr"
  rm "$pki/issued/ann.crt" "$pki/reqs/ann.req" "$pki/private/ann.key"
  local before
  before=$(index_serial '/CN=ann$' | padded)
  EASYRSA_PKI=$pki easyrsa build-client-full ann nopass >/dev/null 2>&1
  rm "$pki/issued/cleo.crt" "$pki/certs_by_serial/$(index_serial '/CN=cleo$').pem"
  adopt
  [ "${lines[0]}" = 'adopted: 2 new clients, 1 revoked; left: 3' ]
  inventory
  [[ $(line_of ann) = "adopted "*" ann "* ]]
  payload | grep -q "^foreign $before 0 ann -$"
  [[ $output = *"ann $before: another certificate has this name"* ]]
  [[ $output = *': its file is lost;'* ]]
}

@test "an expired certificate, and one of another CA, is not taken over" {
  sed -i "/CN=ann$/s/^V\t[0-9]*Z/V\t200101000000Z/" "$pki/index.txt"
  local cleo
  cleo=$pki/certs_by_serial/$(index_serial '/CN=cleo$').pem
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj /CN=cleo -set_serial "0x$(serial_of cleo)" \
    -keyout "$BATS_TEST_TMPDIR/key" -out "$cleo" 2>/dev/null
  cp "$cleo" "$pki/issued/cleo.crt"
  adopt
  [ "${lines[0]}" = 'adopted: 1 new clients, 1 revoked; left: 2' ]
}

@test "a CA that cannot be used is refused, and nothing is left behind" {
  want=66
  pki=$BATS_TEST_TMPDIR/none adopt
  want=65
  cp "$pki/private/ann.key" "$pki/private/ca.key"
  adopt
  [[ $output = *'does not belong to ca.crt'* ]]
  openssl pkey -in "$BATS_FILE_TMPDIR/pki/private/ca.key" -aes256 -passout pass:secret -out "$pki/private/ca.key"
  adopt
  [[ $output = *'has a passphrase'* ]]
  [ "$(files ca)" = 0 ]
  cp "$BATS_FILE_TMPDIR/pki/private/ca.key" "$pki/private/ca.key"
  sed -i '0,/^R\t/s/^\(R\t[^\t]*\t[^\t]*\t\)[^\t]*/\1FF112233445566778899AABBCCDDEEFF00/' "$pki/index.txt"
  adopt
  [[ $output = *'more than 128 bits'* ]]
}

@test "a host that has a CA already cannot exchange it" {
  "$shell" "$libexec/setup" --state "$state" --remote vpn.example.net --management none >/dev/null
  want=65
  adopt
  [[ $output = *'adopt into a new one'* ]]
}

@test "the server's certificate and the shared key go on, as long as a client needs them" {
  openvpn --genkey secret "$BATS_TEST_TMPDIR/ta.key"
  adopt --adopt-server vpn-gw --adopt-tls-auth "$BATS_TEST_TMPDIR/ta.key"
  diff <(openssl x509 -in "$pki/issued/vpn-gw.crt") "$state/server/server.crt"
  grep -qx "tls-auth \"$state/server/ta.key\" 0" "$state/server/openvpn.conf"
  grep -qx 'verify-x509-name vpn-gw name' "$state/etc/profile.part"
  # A new certificate of the server stays when the adoption is repeated.
  rm "$state/server/server.crt"
  "$shell" "$libexec/setup" --state "$state" --remote vpn.example.net --management none >/dev/null
  cp "$state/server/server.crt" "$BATS_TEST_TMPDIR/new.crt"
  adopt --adopt-server vpn-gw --adopt-tls-auth "$BATS_TEST_TMPDIR/ta.key"
  [[ $output == *'left: the certificate of the server vpn-gw'* ]]
  cmp "$BATS_TEST_TMPDIR/new.crt" "$state/server/server.crt"
  serve < <(request verb=check)
  expect 0
  for name in ann ben cleo; do
    as "$name"
    ask revoke
    expect 0
  done
  "$shell" "$libexec/setup" --state "$state" --revoke-foreign "$(serial_of john.doe)"
  "$shell" "$libexec/setup" --state "$state" --remote vpn.example.net --management none >/dev/null
  run ! grep -q tls-auth "$state/server/openvpn.conf"
  [ ! -e "$state/server/ta.key" ]
}

@test "new clients are issued beside the adopted ones" {
  adopt
  name=dora
  issue
  expect 0
  payload >"$BATS_TEST_TMPDIR/profile"
  SSL_CERT_FILE=/dev/null openssl verify -CAfile "$pki/ca.crt" <(block cert <"$BATS_TEST_TMPDIR/profile") >/dev/null
  name=ann serial=$other_serial client=$other_client
  issue
  expect 65 'the name has the live serial'
}

@test "an adopted certificate is told again to who asks for it without terms, and forgotten already" {
  adopt
  as ann
  ask issue
  expect 0 'key=forgotten'
  payload | block cert | diff - <(openssl x509 -in "$pki/issued/ann.crt")
  # Some of its serials the platform could not have chosen.
  ask issue "days=$days"
  [ "$status" -eq 64 ] || expect 65
  fence=1
  ask revoke
  expect 76
}
