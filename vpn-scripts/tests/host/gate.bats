#!/usr/bin/env bats
# gate: one literal, no arguments, no environment.

setup_file() {
  load ../helper
  make_template
}

setup() {
  load ../helper
  use_template
}

# gate COMMAND: as sshd would run it; the request is on standard input.
gate() {
  status=0
  SSH_ORIGINAL_COMMAND=$1 "$libexec/gate" "$state" >"$BATS_TEST_TMPDIR/reply" 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
  read_reply
}

@test "the one command is let through, with its request" {
  gate vpn-host-v1 < <(request verb=hello)
  expect 0
  [ "$(value verb)" = hello ]
}

@test "every other command is refused" {
  local command
  for command in '' ' ' ls 'ls -la' sh /bin/sh vpn-host vpn-host-v2 'vpn-host-v1 ' ' vpn-host-v1' 'vpn-host-v1 x' 'vpn-host-v1;id' \
    'vpn-host-v1 && id' $'vpn-host-v1\n' $'vpn-host-v1\nid' '$(id)' '`id`' 'VPN-HOST-V1' 'vpn-host-v*' '*' 'scp -t /tmp' 'internal-sftp' \
    /usr/lib/openssh/sftp-server 'rsync --server' 'git-upload-pack x'; do
    echo "# $command"
    gate "$command" < <(request verb=hello)
    expect 64 'the command must be exactly vpn-host-v1'
  done
}

@test "no command at all, a login, is refused" {
  status=0
  env -u SSH_ORIGINAL_COMMAND "$libexec/gate" "$state" </dev/null >"$BATS_TEST_TMPDIR/reply" 2>/dev/null || status=$?
  read_reply
  expect 64
}

@test "a gate that was given no state directory, or more than one, is refused" {
  for arguments in '' "$state x"; do
    status=0
    # shellcheck disable=SC2086 # none or two
    SSH_ORIGINAL_COMMAND=vpn-host-v1 "$libexec/gate" $arguments </dev/null >"$BATS_TEST_TMPDIR/reply" 2>/dev/null || status=$?
    read_reply
    expect 64
  done
}

@test "nothing of the environment passes, and PATH is the gate's" {
  local stand_in=$BATS_TEST_TMPDIR/libexec
  mkdir "$stand_in"
  cp "$libexec/gate" "$stand_in/gate"
  printf 'echo "arguments: $*"\nexec /usr/bin/env\n' >"$stand_in/vpn-host"
  run -0 env SSH_ORIGINAL_COMMAND=vpn-host-v1 PATH=/evil:/usr/bin:/bin LC_ALL=C.UTF-8 LANG=C IFS=/ ENV=/tmp/evil BASH_ENV=/tmp/evil \
    LD_PRELOAD= OPENSSL_CONF=/tmp/evil OPENSSL_MODULES=/tmp/evil PERL5LIB=/tmp/evil PERL5OPT=-d TZ=x HOME=/tmp CDPATH=/tmp TMPDIR=/tmp \
    "$stand_in/gate" /state
  # dash sets PWD by itself, bash these three.
  [ "$(grep -v '^PWD=\|^SHLVL=\|^_=' <<<"$output")" = $'arguments: /state\nPATH=/usr/sbin:/usr/bin:/sbin:/bin' ]
}

@test "a request through the gate works with an environment that would break it" {
  LC_ALL=C.UTF-8 OPENSSL_CONF=/nonexistent PERL5OPT=-Mnothing PATH=/usr/bin:/bin IFS=a gate vpn-host-v1 < <(fields issue "days=$days")
  expect 0
  payload >"$BATS_TEST_TMPDIR/profile"
  assert_profile "$BATS_TEST_TMPDIR/profile"
}
