# shellcheck shell=sh
# shellcheck disable=SC2154 # fields of the request
# The fence: a worker that was overtaken must not act, however late it arrives.
# fence/SERIAL is "TOKEN ATTEMPT": the highest token seen, and who brought it.

# fence_check: refuses a stale one. Sets fence_new when this one is to be stored, which has
# to happen before anything else is seen to change: fence_store, or in one go with it.
fence_check() {
  fence_file=fence/$serial fence_new=
  if [ -e "$fence_file" ]; then
    fence_token='' fence_attempt='' fence_rest=''
    read -r fence_token fence_attempt fence_rest <"$fence_file" || :
    if ! request_hex "$fence_attempt" || [ -n "$fence_rest" ]; then fence_broken "$serial" 'is damaged'; fi
    fence_whole "$serial" "$fence_token"
    if [ "$fence" -lt "$fence_token" ]; then
      die 76 "fence $fence is stale, $fence_token is stored; drop this attempt and take the lock again with a higher floor"
    fi
    if [ "$fence" -eq "$fence_token" ]; then
      [ "$attempt" = "$fence_attempt" ] || die 76 "fence $fence belongs to another attempt; drop this one and take the lock again"
      return 0
    fi
  elif [ -e "intent/$serial" ] || [ -e "issued/$serial" ] || [ -e "revoked/$serial" ]; then
    # Starting from 0 would let every stale worker in.
    fence_broken "$serial" 'is lost'
  fi
  fence_new=1
}

fence_store() {
  [ -n "$fence_new" ] || return 0
  fence_new=
  write tmp/fence "$fence $attempt"
  commit tmp/fence "$fence_file"
}

# A refusal is told under the fence that it was met under.
refuse() { # CODE MESSAGE
  fence_store
  die "$1" "$2"
}
