#!/usr/bin/env bats
# sign: the client's own key; from a CSR the host takes the public key only.

setup_file() {
  load ../helper
  make_template
}

setup() {
  load ../helper
  use_template
  csr=$BATS_TEST_TMPDIR/csr
}

sign() { ask sign "days=$days" "${csr_lines[@]}"; }

# A CSR with any key: make_csr_with ALGORITHM OPTION...
make_csr_with() {
  openssl req -new -newkey "$@" -noenc -keyout "$csr.key" -subj /CN=x -out "$csr.csr" 2>/dev/null
  csr_of "$csr.csr"
}

# The CSR in DER, to be tampered with, back into csr_lines.
der_of() { openssl req -in "$1" -outform DER -out "$2"; }
lines_of_der() { mapfile -t csr_lines < <(openssl base64 -in "$1" | sed 's/^/csr=/'); }

@test "sign gives a profile for the key of the CSR, without a key in it" {
  make_csr "$csr"
  sign
  expect 0
  [ "$(value key) $(value replayed)" = 'absent 0' ]
  payload >"$BATS_TEST_TMPDIR/profile"
  assert_profile "$BATS_TEST_TMPDIR/profile"
  run ! grep -q 'PRIVATE KEY\|<key>' "$BATS_TEST_TMPDIR/profile"
  [ "$(public_key_of "$BATS_TEST_TMPDIR/crt")" = "$(openssl pkey -in "$csr.key" -pubout)" ]
}

@test "subject and extensions of the CSR are ignored" {
  make_csr "$csr" # asks for another name and for CA:TRUE
  sign
  payload | block cert >"$BATS_TEST_TMPDIR/crt"
  local text
  text=$(openssl x509 -in "$BATS_TEST_TMPDIR/crt" -noout -text)
  [[ $text != *'somebody else'* && $text != *CA:TRUE* && $text == *CA:FALSE* ]]
  [[ $text == *'TLS Web Client Authentication'* ]]
}

@test "RSA, P-384 and Ed25519 keys are signed too" {
  make_csr_with rsa:3072
  sign
  expect 0
  serial=$other_serial name=bob
  make_csr_with ec -pkeyopt ec_paramgen_curve:P-384
  sign
  expect 0
  serial=6FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF name=carol
  make_csr_with ed25519
  sign
  expect 0
}

@test "the same CSR again gives the same bytes" {
  make_csr "$csr"
  sign
  payload >"$BATS_TEST_TMPDIR/first"
  sign
  expect 0
  [ "$(value replayed)" = 1 ]
  payload | cmp - "$BATS_TEST_TMPDIR/first"
}

@test "another CSR for the same serial is a conflict" {
  make_csr "$csr"
  sign
  make_csr "$csr"
  sign
  expect 65 'another CSR'
}

@test "a tampered CSR is refused, wherever it was changed, and leaves nothing" {
  make_csr "$csr"
  der_of "$csr.csr" "$csr.der"
  local size at
  size=$(stat -c %s "$csr.der")
  # The name, the public key, the end of the signature.
  for at in 20 $((size / 2)) $((size - 1)); do
    cp "$csr.der" "$csr.bad"
    # Another one than it was, which is any: one in 256 keys has the Z there.
    printf '\x5a' | dd of="$csr.bad" bs=1 seek="$at" conv=notrunc status=none
    ! cmp -s "$csr.der" "$csr.bad" || printf '\xa5' | dd of="$csr.bad" bs=1 seek="$at" conv=notrunc status=none
    lines_of_der "$csr.bad"
    sign
    expect 64 csr
  done
  [ "$(files issued) $(files intent) $(files names)" = '0 0 0' ]
}

@test "what is no CSR is refused" {
  csr_lines=(csr=AAAA)
  sign
  expect 64 'not a certificate request'
  mapfile -t csr_lines < <(sed '/^-----/d; s/^/csr=/' "$state/ca/ca.crt")
  sign
  expect 64
  make_csr "$csr"
  csr_lines=("${csr_lines[@]:1}")
  sign
  expect 64
  make_csr "$csr"
  unset 'csr_lines[-1]'
  sign
  expect 64
}

@test "a CSR whose key the client does not hold is refused" {
  make_csr "$csr"
  # The public key of one, the signature of another.
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$csr.other" -subj /CN=x -outform DER -out "$csr.theirs" 2>/dev/null
  openssl req -new -key "$csr.key" -subj /CN=x -outform DER -out "$csr.ours"
  # The first BIT STRING is the key, after its two bytes of header, the unused bits and the form of the point.
  local at
  at=$(openssl asn1parse -inform DER -in "$csr.ours" | sed -n 's/^ *\([0-9]*\):.*BIT STRING.*/\1/p' | head -n 1)
  cp "$csr.ours" "$csr.bad"
  dd if="$csr.theirs" of="$csr.bad" bs=1 skip=$((at + 4)) seek=$((at + 4)) count=64 conv=notrunc status=none
  lines_of_der "$csr.bad"
  sign
  expect 64 'the signature of the csr is wrong'
}

@test "after an ack of a signed serial its profile has no tls-crypt-v2 key" {
  make_csr "$csr"
  sign
  ask ack
  expect 0
  [ "$(value key)" = forgotten ]
  sign
  expect 0
  [ "$(value key)" = forgotten ]
  payload >"$BATS_TEST_TMPDIR/profile"
  assert_profile "$BATS_TEST_TMPDIR/profile"
  run ! grep -rq 'tls-crypt' "$state/issued" "$BATS_TEST_TMPDIR/profile"
}

@test "a key that is not worth signing is refused, whoever asks" {
  local kind
  for kind in rsa:2048 'ec -pkeyopt ec_paramgen_curve:secp256k1' 'ec -pkeyopt ec_paramgen_curve:P-521' 'ec -pkeyopt ec_paramgen_curve:P-224' ed448; do
    echo "# $kind"
    # shellcheck disable=SC2086 # options
    make_csr_with $kind
    ask sign "days=$days" "${csr_lines[@]}"
    expect 64 'must be ECDSA on P-256 or P-384, Ed25519, or RSA'
  done
  [ "$(files issued) $(files intent) $(files names)" = '0 0 0' ]
}
