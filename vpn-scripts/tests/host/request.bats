#!/usr/bin/env bats
# What a request may look like, and everything it may not.

setup_file() {
  load ../helper
  make_template
}

setup() {
  load ../helper
  use_template
}

teardown() {
  # No bad request may leave a trace.
  if [ -z "${traces_wanted-}" ]; then
    [ "$(files intent) $(files issued) $(files names) $(files fence) $(files revoked)" = '0 0 0 0 0' ]
  fi
}

# refused TEXT: the request on standard input.
refused() {
  serve
  expect 64 "${1-}"
}

lines=(verb=issue client=cli_0123456789abcdef0123456789abcdef job=job_0123456789abcdef0123456789abcdef
  fence=10 attempt=00000000000000000000000000000001 name=alice serial=41234567890ABCDEF01234567890ABCD days=30)

# with KEY VALUE: the lines of a good request, one of them changed.
with() {
  local line
  for line in "${lines[@]}"; do
    case $line in
      "$1="*) printf '%s=%s\0' "$1" "$2" ;;
      *) printf '%s\0' "$line" ;;
    esac
  done
}

refuse_values() { # KEY VALUE...
  local key=$1 value changed
  shift
  for value; do
    mapfile -d '' changed < <(with "$key" "$value")
    echo "# $key=${value:0:80}"
    refused < <(request "${changed[@]}")
  done
}

@test "the good request that the bad ones are made from is accepted" {
  traces_wanted=1
  serve < <(request "${lines[@]}")
  expect 0
}

@test "keys may come in any order" {
  traces_wanted=1
  serve < <(request "${lines[7]}" "${lines[6]}" "${lines[5]}" "${lines[4]}" "${lines[3]}" "${lines[2]}" "${lines[1]}" "${lines[0]}")
  expect 0
}

@test "a name that is not a plain name is refused" {
  refuse_values name '' '-rf' '--help' '_x' '.' '..' '../x' 'a/b' 'a/../b' 'a.b' 'a b' ' a' 'a ' 'a:b' "a'b" 'a"b' 'a`id`' \
    'a$(id)' 'a;id' 'a|id' 'a&id' 'a>b' 'a<b' 'a*' 'a?' 'a[b]' 'a{b}' 'a~' '~a' 'a\b' 'a\nb' 'a!' 'a#b' 'a%b' 'a=b' 'a,b' 'a+b' 'a@b' \
    $'a\tb' $'a\rb' $'a\eb' $'a\x7f' 'ä' 'aä' 'ａｌｉｃｅ' 'аlice' $'a\xff' $'a\xc0\xaf' $'a\xe2\x80\xae' \
    "$(printf 'a%.0s' {1..65})"
}

@test "a reserved name is refused in any letter case" {
  refuse_values name DEFAULT default Default dEFAULT server SERVER Server sErVeR UNDEF undef Undef uNdEf
}

@test "a name of 64 characters is accepted" {
  traces_wanted=1
  local changed
  mapfile -d '' changed < <(with name "$(printf 'a%.0s' {1..64})")
  serve < <(request "${changed[@]}")
  expect 0
}

@test "a serial that is not 128 bits of upper-case hex is refused" {
  refuse_values serial '' 4 41234567890ABCDEF01234567890ABC 41234567890ABCDEF01234567890ABCDE 01234567890ABCDEF01234567890ABCD \
    81234567890ABCDEF01234567890ABCD F1234567890ABCDEF01234567890ABCD 41234567890abcdef01234567890abcd \
    '../../../../../../../../etc/passw' '4123456789/ABCDEF01234567890ABCD' '4123456789*ABCDEF01234567890ABCD' \
    '4123456789 ABCDEF01234567890ABCD' '-1234567890ABCDEF01234567890ABCD' $'41234567890ABCDEF01234567890AB\xc3\x84' '0x234567890ABCDEF01234567890ABCDE'
}

@test "client, job and attempt that are not ids are refused" {
  local id=0123456789abcdef0123456789abcdef bad
  for bad in '' x "$id" "${id}0" "${id%f}" "${id%f}F" "${id%f}g" "${id%f}/" "${id%f}*" "${id%f}é" '$(id)' '../x'; do
    refuse_values client "$bad" "job_$bad"
    refuse_values job "$bad" "cli_$bad"
    [ "$bad" = "$id" ] || refuse_values attempt "$bad"
  done
}

@test "a fence that is not a plain number in range is refused" {
  refuse_values fence '' 0 -1 +1 01 1.0 1e3 0x10 ' 1' '1 ' 'a' '1;id' '$(id)' '1+1' 1000000000000000 9999999999999999 999999999999999999 9999999999999999999999 '１'
}

@test "the largest fence is accepted, and 8 and 9 are no octal trouble" {
  traces_wanted=1
  for fence in 8 9 99 999999999999999; do
    issue
    expect 0
  done
}

@test "days out of range are refused" {
  refuse_values days '' 0 -1 3651 99999 00 01 1d '$(id)' ' 1' 1.5
}

@test "a verb that is not known is refused" {
  refuse_values verb '' x ISSUE Issue 'issue ' '../issue' '$(id)' issue_commit _issue 'issue;id' end
}

@test "a key that is missing is refused" {
  local i rest
  for i in "${!lines[@]}"; do
    rest=("${lines[@]}")
    unset "rest[$i]"
    # Without days it is a repeat, which is judged by what was issued.
    [[ ${lines[$i]} != days=* ]] || continue
    refused < <(request "${rest[@]}")
  done
  for verb in sign ack revoke kill; do
    refused < <(request "verb=$verb")
  done
}

@test "a key that is there twice is refused" {
  local line
  for line in "${lines[@]}"; do
    refused < <(request "${lines[@]}" "$line")
  done
  refused twice < <(request verb=hello verb=hello)
}

@test "a key that is not known is refused" {
  refused < <(request "${lines[@]}" x=1)
  refused < <(request "${lines[@]}" =1)
  refused < <(request "${lines[@]}" Name=1)
  refused < <(request "${lines[@]}" 'name =bob')
  refused < <(request "${lines[@]}" 'PATH=/tmp')
  refused < <(request "${lines[@]}" end=3)
  refused < <(request "${lines[@]}" noequals)
}

@test "a key that the verb does not take is refused" {
  local verb
  refused 'does not take' < <(request "${lines[@]}" csr=AAAA)
  for verb in ack revoke kill; do
    refused 'does not take' < <(fields "$verb" days=30)
  done
  for verb in hello crl list sessions check; do
    refused 'does not take' < <(request "verb=$verb" fence=1)
    refused 'does not take' < <(fields "$verb")
  done
}

@test "a csr line that is not short base64 is refused" {
  local bad
  for bad in '' 'a b' 'a-b' '-----BEGIN' "$(printf 'A%.0s' {1..65})" '$(id)' 'é'; do
    refused < <(fields sign days=30 "csr=$bad")
  done
}

@test "a request cut at any byte is refused" {
  request "${lines[@]}" >"$BATS_TEST_TMPDIR/whole"
  local size i
  size=$(stat -c %s "$BATS_TEST_TMPDIR/whole")
  for ((i = 0; i < size; i += i < size - 12 ? 7 : 1)); do
    refused < <(head -c "$i" "$BATS_TEST_TMPDIR/whole")
  done
}

@test "bytes after the end are refused" {
  refused < <(request "${lines[@]}" && echo)
  refused < <(request "${lines[@]}" && printf x)
  refused < <(request "${lines[@]}" && request "${lines[@]}")
}

@test "a wrong byte count is refused" {
  local body
  printf -v body '%s\n' 'vpn-host 1' "${lines[@]}"
  for end in '' 0 1 $((${#body} - 1)) $((${#body} + 1)) "0${#body}" " ${#body}" "${#body} " "+${#body}" "${#body}.0"; do
    refused < <(printf '%send=%s\n' "$body" "$end")
  done
  refused < <(printf '%s. %s\n' "$body" "${#body}")
  refused < <(printf '%s' "$body")
}

@test "NUL bytes are refused, wherever they are" {
  local whole
  whole=$(request "${lines[@]}")
  refused < <(printf '%s\0\n' "$whole")
  refused < <(printf '\0%s\n' "$whole")
  refused < <(printf '%s\n' "$whole" | sed 's/name=alice/name=al\x00ice/')
  refused < <(printf '%s\n' "$whole" | sed 's/name=alice/name=alice\x00/')
  refused < <(head -c 5000 /dev/zero)
}

@test "empty lines and carriage returns are refused" {
  refused < <(request "${lines[@]}" '')
  refused < <(request '' "${lines[@]}")
  refused < <(printf '\n' && request "${lines[@]}")
  refused < <(request "${lines[@]}" | sed 's/$/\r/')
  refused < <(request "${lines[@]/%/$'\r'}")
}

@test "another protocol version is refused" {
  for first in '' 'vpn-host' 'vpn-host 2' 'vpn-host 1 ' ' vpn-host 1' 'VPN-HOST 1' 'GET / HTTP/1.1' 'verb=hello'; do
    refused < <(printf '%s\nverb=hello\nend=%s\n' "$first" $((${#first} + 12)))
  done
  refused </dev/null
}

@test "a line of one megabyte is refused, quickly and in little memory" {
  local long
  long=$(head -c 1048576 /dev/zero | tr '\0' a)
  refused < <(request "${lines[@]}" "name=$long")
  refused < <(printf '%s' "$long")
  ulimit -v 100000
  refused < <(head -c 300000000 /dev/zero | tr '\0' a)
}

@test "a line of 257 bytes is refused" {
  refused 'longer than 256' < <(request verb=hello "name=$(printf 'a%.0s' {1..252})")
}

@test "more than 64 lines are refused" {
  local many
  mapfile -t many < <(printf 'csr=AAAA\n%.0s' {1..56})
  refused 'more than 64' < <(fields sign days=30 "${many[@]}")
}

@test "an error message never repeats what was sent" {
  refuse_values name $'x\nend=1' 'SECRET$(x)'
  [[ $reply != *SECRET* ]]
  refused < <(request "${lines[@]}" 'SECRET=1')
  [[ $reply != *SECRET* ]]
}

@test "nothing in a request is ever run" {
  cd "$BATS_TEST_TMPDIR"
  local key
  for key in verb client job fence attempt name serial days csr; do
    refused < <(request "${lines[@]}" "$key=\$(touch pwned)" "$key=\`touch pwned\`" "$key=;touch pwned;")
  done
  [ ! -e pwned ] && [ ! -e "$state/pwned" ]
}
