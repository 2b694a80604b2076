# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # the fields are read by the other parts
# The request: at most 64 lines of 256 bytes, known keys once each, and a last
# line that counts the bytes: a cut connection looks like an end of file, and what
# was cut must not run.

client='' job='' fence='' attempt='' name='' serial='' days='' csr='' owner='' address='' routes=''

request_read() {
  # A shell would drop NULs silently, so they become a byte that no field may hold. One
  # line more than the largest request has tells that it is too large, and a line that
  # does not end ends sed. The dot keeps the last newline from being stripped.
  # shellcheck disable=SC3045 # dash and bash have it
  request=$(ulimit -v 65536 && sed 's/\x00/\x01/g; 65q' && printf .) || die 64 'the request could not be read; send all of it, in lines of at most 256 bytes'
  case $request in
    *"$NL".) request=${request%.} ;;
    *) die 64 'the request is cut, or larger than 64 lines of 256 bytes; send all of it, to the newline after end=' ;;
  esac
  IFS=$NL
  # shellcheck disable=SC2086 # split into lines; globbing is off
  set -- $request
  unset IFS
  [ "${1-}" = 'vpn-host 1' ] || die 64 'the first line must be "vpn-host 1"; this host speaks no other version'
  [ $# -le 64 ] || die 64 'the request has more than 64 lines'
  shift

  request_size=11
  request_keys=' '
  while [ $# -gt 1 ]; do
    [ "${#1}" -le 256 ] || die 64 'a line is longer than 256 bytes'
    request_size=$((request_size + ${#1} + 1))
    request_line "$1"
    shift
  done
  # Empty lines vanish when the request is split: its whole length shows them.
  if [ "${1-}" != "end=$request_size" ] || [ "${#request}" -ne "$((request_size + ${#1} + 1))" ]; then
    die 64 'the last line must be end= and the number of bytes before it; the request is cut or holds forbidden bytes'
  fi
  request_check
}

request_line() {
  case $1 in
    *=*) ;;
    *) die 64 'a line is not key=value' ;;
  esac
  request_value=${1#*=}
  case $1 in
    csr=*)
      [ "${#request_value}" -le 64 ] || die 64 'a csr line is longer than 64 characters'
      case $request_value in '' | *[!A-Za-z0-9+/=]*) die 64 'a csr line is not base64' ;; esac
      case $request_keys in *' csr '*) ;; *) request_keys="${request_keys}csr " ;; esac
      csr=$csr$request_value$NL
      return
      ;;
    route=*)
      request_route
      case $request_keys in *' route '*) ;; *) request_keys="${request_keys}route " ;; esac
      routes="$routes $request_value"
      return
      ;;
    verb=*) request_key=verb verb=$request_value ;;
    client=*) request_key=client client=$request_value ;;
    job=*) request_key=job job=$request_value ;;
    fence=*) request_key=fence fence=$request_value ;;
    attempt=*) request_key=attempt attempt=$request_value ;;
    name=*) request_key=name name=$request_value ;;
    serial=*) request_key=serial serial=$request_value ;;
    days=*) request_key=days days=$request_value ;;
    owner=*) request_key=owner owner=$request_value ;;
    address=*) request_key=address address=$request_value ;;
    *) die 64 'a key is not known; see the contract for the keys of each verb' ;;
  esac
  case $request_keys in
    *" $request_key "*) die 64 "the key $request_key is there twice" ;;
  esac
  request_keys="$request_keys$request_key "
}

# Every verb takes exactly its keys: none missing, none more. Only address and routes may be
# left out, the days of an issue that is a repeat, and the owner, by a platform that is older than the key.
request_check() {
  case $verb in
    issue) request_takes='client job fence attempt name serial' ;;
    sign) request_takes='client job fence attempt name serial days csr' ;;
    ack | revoke | kill) request_takes='client job fence attempt name serial' ;;
    inventory | published) request_takes=serial ;;
    hello | crl | list | sessions | check) request_takes= ;;
    *)
      verb=
      die 64 'the verb is missing or not known; hello lists what this host can do'
      ;;
  esac
  for request_key in $request_takes; do
    case $request_keys in
      *" $request_key "*) "request_$request_key" ;;
      *) die 64 "the key $request_key is missing; $verb needs it" ;;
    esac
  done
  case $request_takes,$request_keys in
    *fence*,*' owner '*)
      request_hex "$owner" || die 64 'owner must be 32 lower-case hex digits'
      request_takes="$request_takes owner"
      ;;
  esac
  case $verb in issue | sign) request_terms ;; esac
  for request_key in $request_keys; do
    case " verb $request_takes " in
      *" $request_key "*) ;;
      *) die 64 "$verb does not take the key $request_key" ;;
    esac
  done
}

# Without days, an issue is a repeat of something that this host knows better.
request_terms() {
  case $verb,$request_keys in
    sign,*) ;;
    *' days '*)
      request_days
      request_takes="$request_takes days"
      ;;
    *) return 0 ;;
  esac
  # So the ASN.1 integer of what is made here is positive and of one length.
  case $serial in [!1-7]*) die 64 'serial must begin with a digit from 1 to 7 to be issued' ;; esac
  request_takes="$request_takes route"
  case $request_keys in
    *' address '*)
      ipv4_parse "$address" || die 64 'address must be an IPv4 address'
      request_takes="$request_takes address"
      ;;
  esac
}

request_client() {
  case $client in cli_*) ;; *) die 64 'client must be cli_ and 32 lower-case hex digits' ;; esac
  request_hex "${client#cli_}" || die 64 'client must be cli_ and 32 lower-case hex digits'
}

request_job() {
  case $job in job_*) ;; *) die 64 'job must be job_ and 32 lower-case hex digits' ;; esac
  request_hex "${job#job_}" || die 64 'job must be job_ and 32 lower-case hex digits'
}

request_attempt() {
  request_hex "$attempt" || die 64 'attempt must be 32 lower-case hex digits'
}

request_hex() {
  case $1 in *[!0-9a-f]*) return 1 ;; esac
  [ "${#1}" -eq 32 ]
}

request_fence() {
  request_token "$fence" || die 64 'fence must be a number from 1 to 999999999999999'
}

request_days() {
  request_number "$days" 4 3650 || die 64 'days must be a number from 1 to 3650'
}

# Networks that unicast goes to, not a default route: at most 16, each once.
request_route() {
  ipv4_cidr "$request_value" || die 64 'route must be an IPv4 network such as 10.20.0.0/16, without bits beyond its length'
  case $request_value in
    0.* | 127.* | 169.254.* | 22[4-9].* | 23[0-9].* | 2[45][0-9].* | */[1-7]) die 64 'route must be a network of at least /8, neither loopback, link-local nor multicast' ;;
  esac
  case "$routes " in *" $request_value "*) die 64 'a route is there twice' ;; esac
  request_routes=$((${request_routes-0} + 1))
  [ "$request_routes" -le 16 ] || die 64 'there are more than 16 routes'
}

# A fencing token. Redis, which hands them out by a script, counts in doubles there: from 2^53 on it
# cannot tell one from the next.
request_token() {
  request_number "$1" 15 999999999999999
}

request_number() { # VALUE DIGITS MAX
  case $1 in '' | 0* | *[!0-9]*) return 1 ;; esac
  [ "${#1}" -le "$2" ] && [ "$1" -le "$3" ]
}

# The name becomes a file name, a certificate's common name and an argument of
# OpenVPN's "kill". DEFAULT is OpenVPN's fallback in client-config directories, UNDEF is
# what it calls who has not shown a certificate yet, server is the server's own certificate.
request_name() {
  case $name in
    '' | [!A-Za-z0-9]* | *[!A-Za-z0-9_-]*) die 64 'name must start with a letter or digit and hold only letters, digits, _ and -' ;;
    [Dd][Ee][Ff][Aa][Uu][Ll][Tt] | [Uu][Nn][Dd][Ee][Ff] | [Ss][Ee][Rr][Vv][Ee][Rr]) die 64 'name is reserved; choose another' ;;
  esac
  [ "${#name}" -le 64 ] || die 64 'name is longer than 64 characters'
}

# 128 bits. Those of certificates that were taken over from another PKI may be any number.
request_serial() {
  case $serial in *[!0-9A-F]*) die 64 'serial must be 32 upper-case hex digits' ;; esac
  [ "${#serial}" -eq 32 ] || die 64 'serial must be 32 upper-case hex digits'
}

# Every line was checked when it was read; OpenSSL judges the whole.
request_csr() {
  csr_pem="-----BEGIN CERTIFICATE REQUEST-----$NL$csr-----END CERTIFICATE REQUEST-----"
}
