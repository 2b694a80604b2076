# shellcheck shell=sh
# shellcheck disable=SC2034 # shared with the other parts
# IPv4 addresses and networks as numbers.

# ipv4_parse TEXT: 10.88.0.5 -> ipv4, or fails.
ipv4_parse() {
  case $1 in *[!0-9.]* | *..* | .* | *.) return 1 ;; esac
  IFS=.
  # shellcheck disable=SC2086 # four numbers
  set -- $1
  unset IFS
  [ $# -eq 4 ] || return 1
  ipv4=0
  for ipv4_byte in "$@"; do
    case $ipv4_byte in '' | 0?* | ????*) return 1 ;; esac
    [ "$ipv4_byte" -le 255 ] || return 1
    ipv4=$((ipv4 * 256 + ipv4_byte))
  done
}

# ipv4_cidr TEXT: 10.88.0.0/24 -> ipv4, ipv4_bits, ipv4_mask, or fails. Bits beyond the
# length must be 0.
ipv4_cidr() {
  case $1 in */*/*) return 1 ;; */*) ;; *) return 1 ;; esac
  ipv4_bits=${1#*/}
  case $ipv4_bits in [1-9] | [12][0-9] | 3[0-2]) ;; *) return 1 ;; esac
  ipv4_parse "${1%/*}" || return 1
  ipv4_mask=$((0xFFFFFFFF ^ ((1 << (32 - ipv4_bits)) - 1)))
  [ "$((ipv4 & ipv4_mask))" -eq "$ipv4" ]
}

# ipv4_dotted NUMBER -> ipv4_dotted
ipv4_dotted() {
  ipv4_dotted=$(($1 >> 24)).$(($1 >> 16 & 255)).$(($1 >> 8 & 255)).$(($1 & 255))
}
