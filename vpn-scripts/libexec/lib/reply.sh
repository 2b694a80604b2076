# shellcheck shell=sh
# shellcheck disable=SC2034 # shared with the other parts
# The reply: built in memory, sent once, ended by its own length.

TAB='	'
NL='
'
verb=
reply_text=
reply_sent=0

# die CODE MESSAGE: the error reply. The message is one line, made of fixed text
# and validated values only, and names the cure.
die() {
  reply_sent=1
  reply_text="vpn-host 1 error${NL}code=$1${NL}error=$2$NL"
  printf '%send=%s\n' "$reply_text" "${#reply_text}"
  exit "$1"
}

# The net under everything: no exit without a reply.
reply_missing() {
  [ "$reply_sent" -eq 1 ] || die 70 "vpn-host stopped with status $1; read its standard error, run check, repeat the request"
}

reply_begin() {
  reply_text="vpn-host 1 ok${NL}verb=$verb$NL"
}

reply_field() { # KEY VALUE
  reply_text="$reply_text$1=$2$NL"
}

reply_send() {
  reply_sent=1
  printf '%send=%s\n' "$reply_text" "${#reply_text}"
}

# reply_payload TEXT: TEXT is sent with one newline after it, which counts.
reply_payload() {
  reply_text="${reply_text}payload=$((${#1} + 1))$NL$1$NL"
  reply_send
}

# reply_file FILE: for payloads that are too big for a variable. Its lines all
# end with a newline; an empty one is followed by the newline that frames it.
reply_file() {
  reply_size=$(stat -c %s "$1") || die 70 "cannot read $1 in the state directory; run check"
  reply_text="${reply_text}payload=$reply_size$NL"
  [ "$reply_size" -gt 0 ] || reply_text=$reply_text$NL
  reply_sent=1
  printf '%s' "$reply_text"
  cat "$1"
  printf 'end=%s\n' "$((${#reply_text} + reply_size))"
}
