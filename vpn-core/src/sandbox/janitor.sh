# The janitor: ends what its owner started once the owner is gone, however the owner went.
#
# stdin    a pipe whose only writing end the owner holds; its end is the owner's end. Lines:
#            pid N SIGNAL    a process the owner started, and the signal that ends it in good order
#            forget N        that process has ended and was collected
#            scripts PREFIX  processes with an argument that begins with PREFIX
#            netns NAME      a network namespace
#            link NAME       a network device in this namespace
#            dir PATH        a directory to remove with all that is in it
# stdout   what could not be removed, a line each
# stderr   may be a locked file: the lock lasts until this process ends
# exit     0 all gone, 1 something is left
#
# Ctrl-C in a terminal reaches every process of the foreground group. This one must outlive its owner.
trap '' HUP INT QUIT TERM PIPE
set -f
newline='
'
pids='' scripts='' spaces='' links='' directories=''

# Reads /proc/$1/stat. Fails when the process is gone.
read_stat() {
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    # The name in parentheses may hold blanks; the fields after it may not.
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    state=$1 parent=$2 group=$3 session=$4 start=${20}
}

# The same. Fails also when the process is dead and merely not collected yet.
look() {
    read_stat "$1" || return 1
    case $state in Z | X) return 1 ;; esac
}

# A number is used again after its process; number and start time together are not.
alive() {
    look "${1%%:*}" || return 1
    rest=${1#*:}
    [ "$start" = "${rest%%:*}" ]
}

# One that was faster than this line counts, too: it may have left others in its group.
register() {
    read_stat "$1" || start=gone
    pids="$pids $1:$start:${2:-TERM}"
}

forget() {
    kept=''
    for entry in $pids; do
        case $entry in "$1":*) ;; *) kept="$kept $entry" ;; esac
    done
    pids=$kept
}

# Sets `victims` to every live process that is registered, in the group or session of a registered
# one, below one of these, or one of the scripts.
gather() {
    table='' victims='' ours=' ' roots=' '
    set +f
    for path in /proc/[0-9]*; do
        pid=${path#/proc/}
        if [ "$pid" != $$ ] && look "$pid"; then table="$table $pid:$parent:$group:$session:$start"; fi
    done
    for prefix in $scripts; do
        # shellcheck disable=SC2013
        for path in $(grep -lzs -e "^$prefix" /proc/[0-9]*/cmdline); do
            pid=${path#/proc/}
            roots="$roots${pid%/cmdline} "
        done
    done
    set -f
    for entry in $pids; do
        number=${entry%%:*}
        if alive "$entry" || ! look "$number"; then roots="$roots$number "; fi
    done
    grown=yes
    while [ -n "$grown" ]; do
        grown=''
        for row in $table; do
            IFS=:
            # shellcheck disable=SC2086
            set -- $row
            IFS=" $newline"
            case $ours in *" $1 "*) continue ;; esac
            case "$ours$roots" in
            *" $1 "* | *" $2 "* | *" $3 "* | *" $4 "*)
                ours="$ours$1 " victims="$victims $1:$5" grown=yes
                ;;
            esac
        done
    done
}

# Ends the victims: first each registered one by its own signal, then TERM to those that stay, then KILL.
end() {
    for entry in $pids; do
        if alive "$entry"; then kill -s "${entry##*:}" "${entry%%:*}" 2>/dev/null; fi
    done
    round=0
    while [ $round -lt 80 ]; do
        left=''
        for entry in $victims; do
            if alive "$entry"; then left="$left ${entry%%:*}"; fi
        done
        [ -n "$left" ] || return 0
        # shellcheck disable=SC2086
        case $round in
        6 | 20) kill -s TERM $left 2>/dev/null ;;
        60) kill -s KILL $left 2>/dev/null ;;
        esac
        sleep 0.05
        round=$((round + 1))
    done
}

while read -r verb rest; do
    # shellcheck disable=SC2086
    case $verb in
    pid) register $rest ;;
    forget) forget "$rest" ;;
    scripts) scripts="$scripts $rest" ;;
    netns) spaces="$spaces $rest" ;;
    link) links="$links $rest" ;;
    dir) directories="$directories$rest$newline" ;;
    esac
done

status=0
# Again, because a process may have started another one between the look and its end.
for _ in 1 2 3; do
    gather
    [ -n "$victims" ] || break
    end
done
for entry in $victims; do
    if alive "$entry"; then printf 'process %s\n' "${entry%%:*}" && status=1; fi
done
for name in $spaces; do
    [ -e "/run/netns/$name" ] || continue
    for pid in $(ip netns pids "$name" 2>/dev/null); do kill -s KILL "$pid" 2>/dev/null; done
    ip netns delete "$name" 2>/dev/null || { printf 'network namespace %s\n' "$name" && status=1; }
done
for name in $links; do
    [ ! -e "/sys/class/net/$name" ] || ip link delete "$name" 2>/dev/null || [ ! -e "/sys/class/net/$name" ] ||
        { printf 'network device %s\n' "$name" && status=1; }
done
IFS=$newline
for path in $directories; do
    rm -rf -- "$path" 2>/dev/null || { sleep 0.2 && rm -rf -- "$path" 2>/dev/null; } ||
        { printf 'directory %s\n' "$path" && status=1; }
done
exit $status
