# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # text for other shells; the variables of helper.bash
# A world of its own for tests that start real programs: mount, network and process
# namespaces. /etc, /usr/local and /var/lib can be written, and nothing of that is
# seen outside; /run is empty, and /tmp but for what the tests need of it; there is
# loopback only. When its first process is ended, everything in it is gone.

# make_world: sets world, the process number of its first process.
make_world() {
  if [ "$(id -u)" -ne 0 ]; then
    echo 'these tests make namespaces: run them as root'
    return 1
  fi
  local ready=$BATS_FILE_TMPDIR/world layers=$BATS_FILE_TMPDIR/layers
  mkdir "$layers"
  # It ends by itself after an hour, should nobody end it.
  unshare --mount --net --pid --fork --kill-child --mount-proc bash -eu -c '
    mount -t tmpfs -o mode=711 world "$1"
    for directory in etc usr/local var/lib; do
      mkdir -p "$1/$directory/upper" "$1/$directory/work"
      mount -t overlay -o "lowerdir=/$directory,upperdir=$1/$directory/upper,workdir=$1/$directory/work" world "/$directory"
    done
    mkdir -m 1777 "$1/tmp"
    for kept in "$3" "$4"; do
      case $kept in
        /tmp/*)
          mkdir -p "$1$kept"
          mount --bind "$kept" "$1$kept"
          ;;
      esac
    done
    mount --rbind "$1/tmp" /tmp
    mount -t tmpfs -o mode=755 world /run
    ip link set lo up
    echo ready >"$2"
    exec sleep 3600' - "$layers" "$ready" "$room" "$BATS_RUN_TMPDIR" </dev/null >"$BATS_FILE_TMPDIR/world.log" 2>&1 3>&- &
  world_parent=$!
  wait_for 'the world to be made' [ -s "$ready" ] || { cat "$BATS_FILE_TMPDIR/world.log" && return 1; }
  read -r world <"/proc/$world_parent/task/$world_parent/children" || [ -n "$world" ]
  export world world_parent
}

end_world() {
  [ -z "${world_parent-}" ] || end "$world_parent"
}

# in_world COMMAND...
in_world() {
  nsenter --target "$world" --mount --net --pid --wd="$PWD" "$@" 3>&-
}

# lines LINE...: for configuration files.
lines() {
  printf '%s\n' "$@"
}

# world_ssh OPTION...: to port 2222 of the world, by the platform's key.
world_ssh() {
  in_world ssh -F none -i "$BATS_FILE_TMPDIR/key" -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
    -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=10 -p 2222 "$@"
}

# only_the_gate USER: what the account can do over SSH is one command.
only_the_gate() {
  local login=$1@127.0.0.1 command
  request verb=hello >"$BATS_TEST_TMPDIR/hello"
  status=0
  world_ssh "$login" vpn-host-v1 <"$BATS_TEST_TMPDIR/hello" >"$BATS_TEST_TMPDIR/reply" 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
  read_reply
  expect 0
  [ "$(value verb)" = hello ]

  for command in ls 'ls -la /' sh 'vpn-host-v1; id' 'vpn-host-v1 x' 'cat /etc/passwd' '$(id)' 'scp -f /etc/passwd'; do
    echo "# $command"
    status=0
    world_ssh "$login" "$command" <"$BATS_TEST_TMPDIR/hello" >"$BATS_TEST_TMPDIR/reply" 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
    read_reply
    expect 64
  done

  echo '# a login without a command'
  status=0
  world_ssh "$login" </dev/null >"$BATS_TEST_TMPDIR/reply" 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
  read_reply
  expect 64

  echo '# what sshd reads out of the line: no agent, no port, no X11, no terminal, no rc file'
  run world_ssh -v "$login" vpn-host-v1 <"$BATS_TEST_TMPDIR/hello"
  [[ $output == *': key options: command'$'\r\n'* || $output == *': key options: command'$'\n'* ]]

  echo '# a terminal'
  run world_ssh -tt "$login" vpn-host-v1 </dev/null
  [[ $output == *'PTY allocation request failed'* ]]

  echo '# forwarding: to a port of the host, from one, from a socket, a tunnel'
  run world_ssh -W 127.0.0.1:2222 "$login"
  [ "$status" -ne 0 ]
  [[ $output == *'administratively prohibited'* ]]
  local remote
  for remote in 0:127.0.0.1:22 2323:127.0.0.1:22 /tmp/vpn-host-test.socket:127.0.0.1:22; do
    run -255 world_ssh -N -o ExitOnForwardFailure=yes -R "$remote" "$login"
    [[ $output == *'remote port forwarding failed'* ]]
  done
  run world_ssh -N -o ExitOnForwardFailure=yes -w any:any "$login"
  [ "$status" -ne 0 ]

  echo '# sftp and scp'
  : >"$BATS_TEST_TMPDIR/empty"
  local options=(-F none -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null)
  run in_world sftp "${options[@]}" -P 2222 -i "$BATS_FILE_TMPDIR/key" -b "$BATS_TEST_TMPDIR/empty" "$login"
  [ "$status" -ne 0 ]
  run in_world scp "${options[@]}" -P 2222 -i "$BATS_FILE_TMPDIR/key" "$BATS_TEST_TMPDIR/empty" "$login:/tmp/vpn-host-test"
  [ "$status" -ne 0 ]
  run ! in_world test -e /tmp/vpn-host-test

  echo '# another way in: a password, another key'
  run -255 world_ssh -o PubkeyAuthentication=no "$login" vpn-host-v1
  [[ $output == *'Permission denied (publickey)'* ]]
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$BATS_TEST_TMPDIR/stranger"
  run -255 in_world ssh "${options[@]}" -p 2222 -i "$BATS_TEST_TMPDIR/stranger" "$login" vpn-host-v1
  [[ $output == *'Permission denied (publickey)'* ]]
}

# answers PORT: something in the world accepts connections there.
answers() {
  in_world bash -c ": </dev/tcp/127.0.0.1/$1"
}
