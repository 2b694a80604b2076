#!/usr/bin/env bats
# The fence, per serial: who was overtaken must not act.

setup_file() {
  load ../helper
  make_template
}

setup() {
  load ../helper
  use_template
}

stored() { cat "$state/fence/$serial"; }

verbs=(issue ack revoke kill sign)

every_verb() { # STATUS TEXT
  local verb extra
  make_csr "$BATS_TEST_TMPDIR/csr"
  for verb in "${verbs[@]}"; do
    extra=()
    case $verb in
      issue) extra=("days=$days") ;;
      sign) extra=("days=$days" "${csr_lines[@]}") ;;
    esac
    ask "$verb" "${extra[@]}"
    expect "$1" "$2"
  done
}

@test "a lower fence is refused, whatever it asks" {
  issue
  cp -a "$state" "$BATS_TEST_TMPDIR/before"
  fence=9
  every_verb 76 'fence 9 is stale, 10 is stored'
  # Even the attempt that brought the stored one.
  attempt=$other_attempt
  every_verb 76 stale
  rm -f "$state"/tmp/* "$BATS_TEST_TMPDIR"/before/tmp/*
  diff -r "$state" "$BATS_TEST_TMPDIR/before"
}

@test "an equal fence is for the same attempt only" {
  issue
  issue
  expect 0
  attempt=$other_attempt
  every_verb 76 'another attempt'
}

@test "a higher fence is stored before anything is done" {
  issue
  fence=11 attempt=$other_attempt
  mv "$state/ca/ca.key" "$BATS_TEST_TMPDIR/"
  serial=$other_serial name=bob
  issue
  expect 69
  [ "$(stored)" = "11 $other_attempt" ]
  mv "$BATS_TEST_TMPDIR/ca.key" "$state/ca/"
  fence=10
  issue
  expect 76
}

@test "fences are compared as numbers" {
  fence=9
  issue
  fence=10
  issue
  expect 0
  fence=99999999999999999
  issue
  expect 0
  fence=100000000000000000
  issue
  expect 0
  fence=99999999999999999
  issue
  expect 76
}

@test "every serial has a fence of its own" {
  fence=50
  issue
  serial=$other_serial name=bob client=$other_client fence=1
  issue
  expect 0
  [ "$(stored)" = "1 $attempt" ]
}

@test "an issue that arrives after the revocation is stale" {
  issue
  fence=12 attempt=$other_attempt
  ask revoke
  fence=11 attempt=00000000000000000000000000000001
  issue
  expect 76
}

@test "a lost fence is an alarm, not a start from zero" {
  issue
  rm "$state/fence/$serial"
  every_verb 70 'is lost'
  echo "20 $other_attempt" >"$state/fence/$serial"
  issue
  expect 76
  fence=21
  ask revoke
  expect 0
  rm "$state/fence/$serial"
  every_verb 70 'is lost'
}

@test "a damaged fence is an alarm" {
  issue
  local damage
  for damage in '' x '10' "x $attempt" "-1 $attempt" "010 $attempt" "10 $attempt more" "10 xyz" "9999999999999999999 $attempt" $'\n10 x'; do
    echo "# $damage"
    printf '%s\n' "$damage" >"$state/fence/$serial"
    fence=11
    issue
    expect 70 'is damaged'
  done
  : >"$state/fence/$serial"
  issue
  expect 70
}

@test "verbs that belong to no client need no fence" {
  issue
  rm "$state/fence/$serial"
  local verb
  for verb in hello list check crl sessions; do
    serve < <(request "verb=$verb")
    expect 0
  done
}
