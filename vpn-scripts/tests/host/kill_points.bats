#!/usr/bin/env bats
# vpn-host is killed, or a command of it fails, at every command that it calls. The
# same request again, or another worker's with a higher fence, must end with one
# certificate and the key that belongs to it, or with one revocation.

setup_file() {
  load ../helper
  make_template --static-addresses 10
}

setup() {
  load ../helper
  use_template
  use_shims
}

# The state as it was before the first run.
keep_state() {
  cp -a "$state" "$BATS_TEST_TMPDIR/before"
}

fresh() {
  rm -rf "$state"
  cp -a "$BATS_TEST_TMPDIR/before" "$state"
  fence=10 attempt=00000000000000000000000000000001
}

# at_every_call MODE VERIFY VERB [LINE...]
at_every_call() {
  local mode=$1 verify=$2 n=0 step=1
  shift 2
  # On a host /bin/sh is dash: it gets them all, another shell every third.
  [ "$shell" = dash ] || step=3
  keep_state
  while
    n=$((n + step))
    fresh
    interrupted "$mode" "$n" < <(fields "$@")
  do
    echo "# $mode $n: $(<"$BATS_TEST_TMPDIR/shim/fired")"
    [ "$mode" = fail ] || [ "$status" -eq 137 ]
    [ "$mode" != fail ] || failed_well
    # Every other time another worker has taken over meanwhile.
    if [ $((n % 2)) -eq 0 ]; then fence=11 attempt=$other_attempt; fi
    ask "$@"
    expect 0
    "$verify"
  done
  # Without an interruption it is a good request, and not a short one.
  [ "$status" -eq 0 ]
  [ "$n" -gt "$least" ]
  nothing_left_in_tmp
}

# A failure is told, with a code that asks for a repeat or a look; or it did no harm.
failed_well() {
  read_reply
  case $status in 0 | 64 | 69 | 70 | 74 | 75) ;; *) echo "status $status" && return 1 ;; esac
}

# What a request leaves in tmp/ goes with the next one that takes the lock.
nothing_left_in_tmp() {
  serve < <(request verb=list)
  run ! grep -rl 'PRIVATE KEY\|tls-crypt' "$state/tmp"
}

an_issued_one() {
  issue
  expect 0
}

one_certificate() {
  payload >"$BATS_TEST_TMPDIR/profile"
  assert_profile "$BATS_TEST_TMPDIR/profile"
  cmp "$BATS_TEST_TMPDIR/profile" "$state/issued/$serial"
  [ "$(cd "$state" && echo issued/* intent/* names/* pub/admitted/*)" = "issued/$serial intent/$serial names/$name pub/admitted/$serial" ]
}

one_key() {
  [ "$(value key)" = present ]
  one_certificate
}

no_key() {
  [ "$(value key)" = absent ]
  one_certificate
  [ "$(public_key_of "$BATS_TEST_TMPDIR/crt")" = "$(openssl req -in "$BATS_TEST_TMPDIR/csr.csr" -noout -pubkey)" ]
}

forgotten() {
  [ "$(value key)" = forgotten ]
  run ! grep -rq 'PRIVATE KEY\|tls-crypt' "$state/issued" "$state/tmp"
  assert_profile "$state/issued/$serial"
}

one_revocation() {
  [ "$(value published)" = yes ]
  [ "$(crl_text | grep 'Serial Number: ')" = "    Serial Number: $serial" ]
  [ "$(files pub/admitted)" -eq 0 ]
  [ "$(ls "$state/issued" "$state/names" "$state/revoked")" = "$state/issued:"$'\n\n'"$state/names:"$'\n\n'"$state/revoked:"$'\n'"$serial" ]
}

@test "issue converges when vpn-host is killed before any of its commands" {
  least=5
  at_every_call before one_key issue "days=$days"
}

@test "issue converges when a command outlives vpn-host" {
  least=5
  at_every_call orphan one_key issue "days=$days"
}

@test "issue converges when any of its commands fails" {
  least=5
  at_every_call fail one_key issue "days=$days"
}

one_key_and_address() {
  one_key
  [ "$(<"$state/pub/ccd/$name")" = "# $serial"$'\n''ifconfig-push 10.88.0.250 255.255.255.0'$'\n''push "route 10.20.0.0 255.255.0.0"' ]
  [ "$(cd "$state" && echo addresses/*)" = addresses/10.88.0.250 ]
}

@test "issue with an address converges when vpn-host is killed before any of its commands" {
  least=5
  at_every_call before one_key_and_address issue "days=$days" address=10.88.0.250 route=10.20.0.0/16
}

@test "issue with an address converges when any of its commands fails" {
  least=5
  at_every_call fail one_key_and_address issue "days=$days" address=10.88.0.250 route=10.20.0.0/16
}

no_revoked_address() {
  one_revocation
  [ "$(files addresses) $(files pub/ccd)" = '0 0' ]
}

@test "revoke of a serial with an address converges when any of its commands fails" {
  least=10
  ask issue "days=$days" address=10.88.0.250 route=10.20.0.0/16
  expect 0
  at_every_call fail no_revoked_address revoke
}

@test "sign converges when vpn-host is killed before any of its commands" {
  least=5
  make_csr "$BATS_TEST_TMPDIR/csr"
  at_every_call before no_key sign "days=$days" "${csr_lines[@]}"
}

@test "sign converges when any of its commands fails" {
  least=5
  make_csr "$BATS_TEST_TMPDIR/csr"
  at_every_call fail no_key sign "days=$days" "${csr_lines[@]}"
}

@test "ack converges when vpn-host is killed before any of its commands" {
  least=5
  an_issued_one
  at_every_call before forgotten ack
}

@test "ack converges when a command outlives vpn-host" {
  least=5
  an_issued_one
  at_every_call orphan forgotten ack
}

@test "ack converges when any of its commands fails" {
  least=5
  an_issued_one
  at_every_call fail forgotten ack
}

@test "revoke converges when vpn-host is killed before any of its commands" {
  least=10
  an_issued_one
  at_every_call before one_revocation revoke
}

@test "revoke converges when a command outlives vpn-host" {
  least=10
  an_issued_one
  at_every_call orphan one_revocation revoke
}

@test "revoke converges when any of its commands fails" {
  least=10
  an_issued_one
  at_every_call fail one_revocation revoke
}

# The whole process group at any time, the work of openssl and mv included. As often as
# VPN_HOST_RANDOM_KILLS says, with each shell.
@test "issue and revoke converge after kills at random times" {
  local n pid
  keep_state
  for ((n = 1; n <= ${VPN_HOST_RANDOM_KILLS:-250}; n++)); do
    fresh
    fields issue "days=$days" >"$BATS_TEST_TMPDIR/request"
    if [ $((n % 2)) -eq 0 ]; then
      an_issued_one
      fields revoke >"$BATS_TEST_TMPDIR/request"
    fi
    setsid "$shell" "$libexec/vpn-host" "$state" <"$BATS_TEST_TMPDIR/request" >/dev/null 2>&1 3>&- &
    pid=$!
    sleep "0.0$((RANDOM % 5))$((RANDOM % 10))" # the random time, not a wait
    kill -9 -- "-$pid" 2>/dev/null || kill -9 "$pid" 2>/dev/null || :
    wait "$pid" 2>/dev/null || :
    if [ $((n % 2)) -eq 0 ]; then
      ask revoke
      expect 0
      one_revocation
    else
      issue
      expect 0
      one_key
    fi
  done
}
