#!/usr/bin/env bats
# Whatever changes the disk is killed, or fails, at every one of its system calls that do:
# several files are renamed by one process, and several synced by another. The same request
# again must end with one certificate, or with one revocation.

setup_file() {
  load ../helper
  make_template --static-addresses 10
}

setup() {
  load ../helper
  use_template
}

# at_every_call LEAST VERIFY VERB [LINE...]: at LEAST so many calls.
at_every_call() {
  local least=$1 verify=$2 call how n fired=0 log=$BATS_TEST_TMPDIR/strace
  shift 2
  cp -a "$state" "$BATS_TEST_TMPDIR/before"
  for call in '/^rename' '/^unlink' fsync fdatasync; do
    for how in signal=SIGKILL error=EIO error=ENOSPC; do
      n=0
      while
        n=$((n + 1))
        rm -rf "$state"
        cp -a "$BATS_TEST_TMPDIR/before" "$state"
        fields "$@" | strace -f -o "$log" -e trace="$call" -e inject="$call:$how:when=$n" \
          "$shell" "$libexec/vpn-host" "$state" >"$BATS_TEST_TMPDIR/reply" 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
        grep -q 'INJECTED\|killed by SIGKILL' "$log"
      do
        echo "# $call $how $n"
        fired=$((fired + 1))
        ask "$@"
        expect 0
        "$verify"
      done
    done
  done
  echo "# $fired"
  [ "$fired" -ge "$least" ]
}

one_key() {
  payload >"$BATS_TEST_TMPDIR/profile"
  assert_profile "$BATS_TEST_TMPDIR/profile"
  [ "$(value key)" = present ]
  [ "$(cd "$state" && echo issued/* intent/* names/* fence/* pub/admitted/*)" = "issued/$serial intent/$serial names/$name fence/$serial pub/admitted/$serial" ]
}

one_key_and_address() {
  one_key
  [ "$(cd "$state" && echo addresses/* pub/ccd/*)" = "addresses/10.88.0.250 pub/ccd/$name" ]
  [ "$(<"$state/addresses/10.88.0.250")" = "$serial" ]
  [ "$(<"$state/pub/ccd/$name")" = "# $serial"$'\n''ifconfig-push 10.88.0.250 255.255.255.0' ]
}

one_revocation() {
  [ "$(value published)" = yes ]
  crl_verifies
  [ "$(crl_text | grep 'Serial Number: ')" = "    Serial Number: $serial" ]
  [ "$(files issued) $(files names) $(files revoked)" = '0 0 1' ]
  [ "$(files pub/admitted) $(files addresses) $(files pub/ccd)" = '0 0 0' ]
}

@test "issue converges whichever of its writes is killed or fails" {
  at_every_call 20 one_key issue "days=$days"
}

@test "issue with an address converges whichever of its writes is killed or fails" {
  at_every_call 20 one_key_and_address issue "days=$days" address=10.88.0.250
}

@test "revoke converges whichever of its writes is killed or fails" {
  ask issue "days=$days" address=10.88.0.250 route=10.20.0.0/16
  expect 0
  fence=11
  at_every_call 20 one_revocation revoke
}

# The CRL's own rename and syncs, which those above never come to.
@test "the CRL of a buried serial converges whichever of its writes is killed or fails" {
  issue
  expect 0
  cp -p "$state/pub/crl.pem" "$BATS_TEST_TMPDIR/old"
  ask revoke
  expect 0
  cp -p "$BATS_TEST_TMPDIR/old" "$state/pub/crl.pem"
  at_every_call 9 one_revocation revoke
}
