# shellcheck shell=sh
# shellcheck disable=SC2154 # fields of the request
# Verb revoke: a tombstone first, then everything that follows from it, as often
# as it takes. It also works for a serial that was never issued, and keeps it from
# ever being.

verb_revoke() {
  revoke_replayed=0
  if [ -e "revoked/$serial" ]; then
    fence_store
    owner_check "revoked/$serial"
    revoke_replayed=1
    revoke_clear
  else
    [ ! -e "intent/$serial" ] || revoke_owner_check
    revoke_bury
    # Whoever waits for the lock buries its serial now, and one list serves all of us.
    state_unlock
    state_lock
  fi
  crl_publish ensure "$serial"
  reply_begin
  reply_field published yes
  reply_field crl_number "$crl_number"
  reply_field crl_next_update "$crl_next"
  reply_field readable_by "${conf_openvpn_user:-root}"
  reply_field replayed "$revoke_replayed"
  reply_send
}

# A conflict is told under the fence that it was found under.
revoke_owner_check() {
  fence_store
  owner_check "intent/$serial"
}

# The fence, the tombstone, and what follows from it, in one go. The log last: what it lacks is
# found among the tombstones.
revoke_bury() {
  revoke_now=$(date -u '+%s %y%m%d%H%M%S') || die 70 'the clock cannot be read'
  # The list that cannot have the serial yet.
  [ ! -e pub/crl.pem ] || exec 8<pub/crl.pem
  write tmp/tombstone "$name $client ${revoke_now% *}"
  set -- tmp/tombstone
  if [ -n "$fence_new" ]; then
    write tmp/fence "$fence $attempt"
    set -- tmp/fence "$@"
  fi
  sync -d "$@" || write_failed
  set -- tmp/tombstone "revoked/$serial" # the commit point
  [ -z "$fence_new" ] || set -- tmp/fence "$fence_file" "$@"
  revoke_move "$@"
  crl_log "$serial" "${revoke_now#* }"
  sync fence revoked pub/admitted issued addresses pub/ccd names revoked.log || write_failed
}

# What an earlier run did not come to.
revoke_clear() {
  ! revoke_move || sync pub/admitted issued addresses pub/ccd names || write_failed
}

# revoke_move FROM TO...: these first, in this order. Then OpenVPN refuses the serial, the
# profile with its keys is gone, and address and name are free. Fails if there is nothing to do.
revoke_move() {
  [ ! -e "pub/admitted/$serial" ] || set -- "$@" "pub/admitted/$serial" ''
  [ ! -e "issued/$serial" ] || set -- "$@" "issued/$serial" ''
  ccd_held
  [ -z "$ccd_held" ] || set -- "$@" "addresses/$ccd_held" ''
  if name_held; then
    [ ! -e "pub/ccd/$name" ] || set -- "$@" "pub/ccd/$name" ''
    set -- "$@" "names/$name" ''
  fi
  [ $# -gt 0 ] || return 1
  move "$@"
}
