# shellcheck shell=sh
# shellcheck disable=SC2154 # fields of the request
# Verbs kill and sessions: OpenVPN's management socket, through the sessions
# helper. The lock is not held meanwhile: OpenVPN may take its time. Should the name
# be given away in between, its new holder's session may be ended, and comes back;
# "open" is never too low for it.

# Only for a serial that is buried, and a name that nobody else uses: OpenVPN
# knows sessions by name.
verb_kill() {
  [ -e "revoked/$serial" ] || die 65 'the serial is not revoked; revoke it first'
  owner_check "revoked/$serial"
  ! name_live || die 65 "the name has the live serial $live_serial; its sessions are not to be ended"
  conf_read
  state_unlock
  # When it was renamed into place: its modification time may be ahead of the clock.
  sessions_published=$(stat -c %Z pub/crl.pem) || die 70 'pub/crl.pem cannot be read; run check'
  sessions_ask kill "$name" "$sessions_published"
  reply_begin
  for sessions_line in $sessions_text; do
    reply_field "${sessions_line%%=*}" "${sessions_line#*=}"
  done
  reply_send
}

verb_sessions() {
  conf_read
  sessions_ask list
  reply_begin
  reply_field server "${sessions_text%%"$NL"*}"
  case $sessions_text in
    *"$NL"*) reply_payload "${sessions_text#*"$NL"}" ;;
    *) reply_text="${reply_text}payload=0$NL$NL"; reply_send ;;
  esac
}

sessions_ask() { # kill NAME PUBLISHED | list
  sessions_text=$("$lib/../sessions" "$conf_management" "$conf_pidfile" "$@") ||
    die 70 'the sessions helper failed; its message is on standard error'
}
