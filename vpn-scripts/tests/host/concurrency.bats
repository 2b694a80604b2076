#!/usr/bin/env bats
# Eight requests at once.

setup_file() {
  load ../helper
  make_template
}

setup() {
  load ../helper
  use_template
}

all='1 2 3 4 5 6 7 8'

nth_serial() { printf '4000000000000000000000000000000%s' "$1"; }

@test "eight clients at once get eight certificates" {
  local n
  for n in $all; do
    name=client$n serial=$(nth_serial "$n") apart "$n" issue
  done
  collect
  [ "$statuses" = '0 0 0 0 0 0 0 0' ]
  for n in $all; do
    name=client$n serial=$(nth_serial "$n")
    take "$n"
    payload >"$BATS_TEST_TMPDIR/profile"
    assert_profile "$BATS_TEST_TMPDIR/profile"
  done
  [ "$(files issued) $(files names) $(files intent) $(files fence)" = '8 8 8 8' ]
}

@test "the same request eight times at once makes one certificate" {
  local n first=0
  for n in $all; do
    apart "$n" issue
  done
  collect
  [ "$statuses" = '0 0 0 0 0 0 0 0' ]
  for n in $all; do
    take "$n"
    payload | cmp - "$state/issued/$serial"
    [ "$(value replayed)" = 1 ] || first=$((first + 1))
  done
  [ "$first" -eq 1 ]
}

@test "eight clients that want one name: one gets it" {
  local n
  for n in $all; do
    serial=$(nth_serial "$n") client=cli_0000000000000000000000000000000$n apart "$n" issue
  done
  collect
  [ "$statuses" = '0 65 65 65 65 65 65 65' ]
  [ "$(files issued) $(files names)" = '1 1' ]
  [ "$(<"$state/names/$name")" = "$(ls "$state/issued")" ]
}

@test "eight workers with eight fences: the stale ones are refused, the rest agree" {
  local n
  for n in $all; do
    fence=$n attempt=0000000000000000000000000000000$n apart "$n" issue
  done
  collect
  local served=0
  for n in $all; do
    take "$n"
    if [ "$status" -eq 0 ]; then
      served=$((served + 1))
      payload | cmp - "$state/issued/$serial"
    else
      expect 76
    fi
  done
  [ "$served" -ge 1 ]
  take 8
  expect 0
  [ "$(<"$state/fence/$serial")" = '8 00000000000000000000000000000008' ]
}

@test "issue and revoke of one serial at once end revoked" {
  local n
  for n in 1 3 5 7; do
    apart "$n" issue
    apart "$((n + 1))" ask revoke
  done
  collect
  for n in 1 3 5 7; do
    take "$n"
    case $status in 0 | 66) ;; *) expect 66 ;; esac
    take "$((n + 1))"
    expect 0
  done
  [ "$(files issued) $(files names) $(files revoked)" = '0 0 1' ]
  [ "$(crl_text | grep -c "Serial Number: $serial\$")" -eq 1 ]
  serve < <(request verb=check)
  expect 0
}

@test "eight revocations at once are all in the CRL" {
  local n
  for n in $all; do
    name=client$n serial=$(nth_serial "$n") apart "$n" ask revoke
  done
  collect
  [ "$statuses" = '0 0 0 0 0 0 0 0' ]
  [ "$(crl_text | sed -n 's/^ *Serial Number: //p' | sort)" = "$(ls "$state/revoked")" ]
  [ "$(files revoked)" -eq 8 ]
}

# Who has buried its serial has the list of that moment as descriptor 8, and goes for the
# lock again: this flock lets it have that once all eight have come so far.
@test "revocations in a burst share one CRL, and each is answered by a list that has its serial" {
  mkdir "$BATS_TEST_TMPDIR/bin"
  cat >"$BATS_TEST_TMPDIR/bin/flock" <<'END'
#!/bin/sh
if [ -e /proc/$$/fd/8 ]; then
  until [ "$(ls revoked | grep -c '')" -eq 8 ]; do sleep 0.02; done
fi
exec /usr/bin/flock "$@"
END
  chmod +x "$BATS_TEST_TMPDIR/bin/flock"
  touch -d '@1000000000' "$state/pub/crl.pem"
  local n
  for n in $all; do
    name=client$n serial=$(nth_serial "$n") PATH=$BATS_TEST_TMPDIR/bin:$PATH apart "$n" ask revoke
  done
  collect
  [ "$statuses" = '0 0 0 0 0 0 0 0' ]
  [ "$(crl_text | sed -n 's/^ *Serial Number: //p' | sort)" = "$(ls "$state/revoked")" ]
  for n in $all; do
    take "$n"
    [ "$(value published) $(value crl_number)" = "yes $(stat -c %Y "$state/pub/crl.pem")" ]
  done
}

@test "a burst of revocations does not rely on a list that has gone bad meanwhile" {
  ask revoke
  truncate -s -40 "$state/pub/crl.pem"
  ask revoke
  expect 0
  [ "$(value replayed)" = 1 ]
  crl_verifies
}

@test "who cannot get the lock is told to come again" {
  # flock with a patience of its own: the test need not wait 20 seconds.
  mkdir "$BATS_TEST_TMPDIR/bin"
  printf '#!/bin/sh\nexec /usr/bin/flock -w 0.1 9\n' >"$BATS_TEST_TMPDIR/bin/flock"
  chmod +x "$BATS_TEST_TMPDIR/bin/flock"
  exec 8<"$state/lock"
  flock 8
  PATH=$BATS_TEST_TMPDIR/bin:$PATH issue
  expect 75 'repeat'
  exec 8<&-
  issue
  expect 0
}

@test "a request that is slow to arrive keeps nobody out" {
  make_slow_pipe
  apart 1 slowly serve
  exec 7>"$slow"
  printf 'vpn-host 1\n' >&7
  issue
  expect 0
  printf 'verb=list\nend=21\n' >&7
  exec 7>&-
  collect
  [ "$statuses" = 0 ]
  take 1
  [ "$(payload)" = "live $serial $name" ]
}
