# The first process of the user's container in a synchronous pod: runs the script once for every order that the
# container beside it writes into a pipe. Any POSIX shell; nothing of the image is needed but /bin/sh (with more than
# one slot also setsid). Arguments: slots, folder of calls, script.
#
# Per slot N four pipes:  ask.N   to us      run <call> <input file>  |  open <call>  |  quit
#                         end.N   from us    ready <alone> | began <pid> | end <status> <memory kills> | sent <signal>
#                         out.N   from us    what the script prints to standard output
#                         stop.N  to us      <signal> <pid>
# With one slot the shell is process 1 and signals reach every other process of the container; with more each script
# has a session of its own, which is what is signalled. Variables are called oscar_* because an assignment to one that
# the service has in its environment would reach the script.
oscar_slots=$1 oscar_calls=$2 oscar_script=$3
oscar_alone=
[ "$$" = 1 ] && [ "$oscar_slots" = 1 ] && oscar_alone=1
# Whoever the image runs as, the container beside us reads and removes what a script leaves.
umask 0
read -r RESOURCE_ID </etc/hostname && export RESOURCE_ID
until [ -p "$oscar_calls/pipes/ask.0" ]; do sleep 0.05 2>/dev/null || sleep 1; done

oscar_count_kills() { # how many processes the kernel has killed here for memory
  oscar_kills=0
  for oscar_file in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    [ -r "$oscar_file" ] || continue
    while read -r oscar_key oscar_value; do
      [ "$oscar_key" = oom_kill ] && oscar_kills=$oscar_value
    done <"$oscar_file"
  done
}

oscar_stopper() { # a process of its own: the shell that waits for the script cannot listen
  while :; do
    while read -r oscar_signal oscar_pid; do
      if [ -n "$oscar_alone" ]; then
        kill -s "$oscar_signal" -- -1
      elif [ "$oscar_pid" -gt 1 ]; then
        kill -s "$oscar_signal" -- "-$oscar_pid"
      fi 2>/dev/null
      echo "sent $oscar_signal" >"$oscar_calls/pipes/end.$1"
    done <"$oscar_calls/pipes/stop.$1"
  done
}

oscar_end_leftovers() { # what the script left running; the shell's patterns find it without starting a process
  if [ -z "$oscar_alone" ]; then
    kill -s KILL -- "-$oscar_pid" 2>/dev/null
    return
  fi
  for oscar_left in /proc/[0-9]*; do
    oscar_left=${oscar_left#/proc/}
    [ "$oscar_left" = 1 ] || [ "$oscar_left" = "$oscar_stopping" ] || kill -s KILL "$oscar_left" 2>/dev/null
  done
}

oscar_run() {
  oscar_before=$oscar_kills
  set -- "$oscar_calls/$1" "$2"
  export INPUT_FILE_PATH="$1/input/$2" TMP_INPUT_DIR="$1/input" TMP_OUTPUT_DIR="$1/output"
  if [ -n "$oscar_alone" ]; then
    /bin/sh "$oscar_script" </dev/null >&5 3<&- 4>&- 5>&-
    oscar_status=$?
  else
    setsid /bin/sh "$oscar_script" </dev/null >&5 3<&- 4>&- 5>&- &
    oscar_pid=$!
    echo "began $oscar_pid" >&4
    wait "$oscar_pid"
    oscar_status=$?
  fi
  oscar_end_leftovers
  [ "$oscar_status" = 0 ] || oscar_count_kills
  echo "end $oscar_status $((oscar_kills - oscar_before))" >&4
}

oscar_slot() {
  oscar_count_kills
  oscar_stopper "$1" 3<&- 4>&- 5>&- &
  oscar_stopping=$!
  while :; do
    exec 4>"$oscar_calls/pipes/end.$1" 5>"$oscar_calls/pipes/out.$1"
    echo "ready ${oscar_alone:-0}" >&4
    exec 3<"$oscar_calls/pipes/ask.$1"
    while read -r oscar_order oscar_call oscar_input <&3; do
      case $oscar_order in
        run) oscar_run "$oscar_call" "$oscar_input" ;;
        open) chmod -R a+rwX "$oscar_calls/$oscar_call" 2>/dev/null; echo "end 0 0" >&4 ;;
        quit) kill -s KILL "$oscar_stopping" 2>/dev/null; return ;;
      esac
      # A script may have ended all it could reach.
      if ! kill -0 "$oscar_stopping" 2>/dev/null; then
        oscar_stopper "$1" 3<&- 4>&- 5>&- &
        oscar_stopping=$!
      fi
    done
    exec 3<&- 4>&- 5>&-
  done
}

if [ "$oscar_slots" = 1 ]; then
  oscar_slot 0
else
  oscar_slot=0
  while [ "$oscar_slot" -lt "$oscar_slots" ]; do
    oscar_slot "$oscar_slot" &
    oscar_slot=$((oscar_slot + 1))
  done
  wait
fi
