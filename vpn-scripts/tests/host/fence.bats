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
  fence=99999999999999
  issue
  expect 0
  fence=100000000000000
  issue
  expect 0
  fence=99999999999999
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

# cure N: does what the last reply says, with N for what the platform's database has.
cure() {
  local text
  text=$(sed -n 's/.*write "\(N 0*\)" into it.*/\1/p' "$BATS_TEST_TMPDIR/reply")
  [ -n "$text" ]
  echo "${text/N/$1}" >"$state/fence/$serial"
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
  for damage in '' x '10' "x $attempt" "-1 $attempt" "0 $attempt" "010 $attempt" "10 $attempt more" "10 xyz" "1000000000000000 xyz" $'\n10 x'; do
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

# As somebody may have written it who had lost the file.
@test "a fence that leaves no room for those of requests is an alarm, of the inventory as well" {
  issue
  local token
  for token in 900000000000000 999999999999999 1000000000000000 9007199254740993 999999999999999999 9223372036854775807 99999999999999999999; do
    echo "# $token"
    echo "$token $other_attempt" >"$state/fence/$serial"
    fence=999999999999999
    every_verb 70 'has a token above 899999999999999, which leaves no room for those of requests; write "N'
    from inventory
    expect 70 'has a token above 899999999999999, which leaves no room for those of requests; write "N'
  done
  echo "899999999999999 $other_attempt" >"$state/fence/$serial"
  ask revoke
  expect 0
}

@test "the cure of a lost fence, and of one too high, lets the next request in, and none before it" {
  local damage
  issue
  for damage in rm "echo 1000000000000000 $attempt >"; do
    eval "$damage $state/fence/$serial"
    fence=11
    every_verb 70 "SELECT fence FROM clients WHERE serial = '$serial'"
    cure 10
    fence=9 every_verb 76 stale
    fence=10 every_verb 76 'another attempt'
    issue
    expect 0
    [ "$(stored)" = "11 $attempt" ]
  done
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
