#!/usr/bin/env bash
# A real Apache Kafka broker on loopback, in KRaft mode, from the jars on Maven Central.
#
#   kafka.sh fetch                             download the jars once
#   kafka.sh up DIR [CLIENT:CONTROLLER ...]    start one node per pair of ports (default 9092:9093), print the bootstrap
#   kafka.sh down DIR                          stop them; the data stays in DIR
#   kafka.sh format DIR CLIENT:CONTROLLER ...  only write the settings and format the storage
#   kafka.sh run DIR NODE                      run node 1, 2, ... in the foreground; the process becomes the JVM
#   kafka.sh tool CLASS [ARGUMENT ...]         a command-line tool, such as org.apache.kafka.tools.TopicCommand
#
# KAFKA_VERSION picks the release, KAFKA_HEAP_OPTS and KAFKA_JVM_PERFORMANCE_OPTS mean what they mean to Kafka itself.
# Exit status 69: something this machine lacks; the last line of stderr says what.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=${KAFKA_VERSION:-$(sed -n 's#.*<kafka.version>\(.*\)</kafka.version>.*#\1#p' "$here/pom.xml")}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tandem/kafka-$version
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
read -ra heap <<<"${KAFKA_HEAP_OPTS:--Xms64m -Xmx384m}"
# The first compiler alone halves the time to start; a benchmark wants both.
read -ra speed <<<"${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseSerialGC -XX:TieredStopAtLevel=1}"

unavailable() {
  echo "kafka.sh: $*" >&2
  exit 69
}

require_java_17() {
  local major
  major=$("$java" -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java\.specification\.version = //p')
  [[ ${major%%.*} -ge 17 ]] || unavailable "Java $major is too old for Kafka $version: install Java 17 or newer"
}

# The JVM checks the archive against the exact class path, so its order must not depend on the file system.
class_path() {
  local jars=("$cache"/jars/*.jar)
  local IFS=:
  echo "${jars[*]}"
}

jvm_arguments() { # fills the array `arguments`
  arguments=("${heap[@]}" "${speed[@]}" -Xlog:disable -Xlog:all=error:stderr -Djava.awt.headless=true
    "-Dlog4j2.configurationFile=$here/log4j2.properties" -cp "$(class_path)")
  [[ ! -f $cache/classes.jsa ]] || arguments+=("-XX:SharedArchiveFile=$cache/classes.jsa")
}

tool() {
  local arguments
  jvm_arguments
  "$java" -Dkafka.log.level=WARN "${arguments[@]}" "$@"
}

# Kafka's identifiers are 16 bytes in base64url; a leading dash would look like an option.
identifier() {
  local id=-
  while [[ $id == -* ]]; do id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '='); done
  echo "$id"
}

free_port() {
  local port=0
  until ((port)) && ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((20000 + RANDOM % 10000)); done
  echo "$port"
}

fetch() {
  command -v "$java" >/dev/null || unavailable "no Java: install Java 17 or newer, such as openjdk-17-jre-headless"
  [[ ! -f $cache/ready ]] || return 0
  require_java_17
  mkdir -p "$cache"
  if [[ ! -d $cache/jars ]]; then
    local temporary
    command -v mvn >/dev/null || unavailable "no Maven to download Kafka $version with: install the package maven"
    temporary=$(mktemp -d "$cache/fetch.XXXXXX")
    # shellcheck disable=SC2064  # the name as it is now
    trap "rm -rf '$temporary'" EXIT
    cp "$here/pom.xml" "$temporary"
    echo "kafka.sh: downloading Kafka $version into $cache" >&2
    if ! mvn -B -ntp -q -f "$temporary/pom.xml" "-Dkafka.version=$version" package >"$temporary/log" 2>&1; then
      grep -m 3 ERROR "$temporary/log" >&2 || true
      unavailable "Maven could not download Kafka $version: is Maven Central within reach?"
    fi
    # A rival may have been faster; `mv` then moves into its folder, where the jars do no harm.
    mv "$temporary/target/jars" "$cache/jars"
    rm -rf "$temporary"
  fi
  archive_classes || echo "kafka.sh: no archive of loaded classes; Kafka starts a little slower" >&2
  touch "$cache/ready"
}

# One short life of a broker writes down the classes it loads; later starts map them instead of parsing jars.
archive_classes() {
  local trial arguments pid status=0
  trial=$(mktemp -d "$cache/trial.XXXXXX")
  format "$trial" "$(free_port):$(free_port)"
  jvm_arguments
  "$java" "-XX:ArchiveClassesAtExit=$trial/classes.jsa" "${arguments[@]}" kafka.Kafka "$trial/1/server.properties" \
    >"$trial/1/log" 2>&1 &
  pid=$!
  await_start "$trial" 1 0 "$pid" || status=$?
  kill "$pid" 2>/dev/null || true
  wait "$pid" || true
  ((status)) || mv "$trial/classes.jsa" "$cache/classes.jsa" || status=$?
  rm -rf "$trial"
  return "$status"
}

format() { # DIR CLIENT:CONTROLLER ...
  local directory=$1 ports=("${@:2}") cluster node bootstrap="" voters=() quorum=() pids=() pid
  [[ -n ${ports[*]} ]] || ports=(9092:9093)
  for node in $(seq "${#ports[@]}"); do
    bootstrap+=${bootstrap:+,}127.0.0.1:${ports[node - 1]#*:}
    voters+=("$node@127.0.0.1:${ports[node - 1]#*:}:$(identifier)")
  done
  for node in $(seq "${#ports[@]}"); do
    mkdir -p "$directory/$node"
    settings "$directory/$node" "$node" "${#ports[@]}" "${ports[node - 1]}" "$bootstrap" \
      >"$directory/$node/server.properties"
  done
  cluster=$(identifier)
  quorum=(--initial-controllers "$(IFS=, && echo "${voters[*]}")")
  for node in $(seq "${#ports[@]}"); do
    tool kafka.tools.StorageTool format -t "$cluster" -c "$directory/$node/server.properties" "${quorum[@]}" \
      >"$directory/$node/log" 2>&1 &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do
    wait "$pid" || { cat "$directory"/*/log >&2 && return 1; }
  done
  touch "$directory/formatted"
}

settings() { # DIR NODE NODES CLIENT:CONTROLLER BOOTSTRAP
  local copies=$(($3 < 3 ? 1 : 3))
  local in_sync=$(($3 < 3 ? 1 : 2))
  local listeners="PLAINTEXT://127.0.0.1:${4%:*},CONTROLLER://127.0.0.1:${4#*:}"
  cat <<PROPERTIES
process.roles=broker,controller
node.id=$2
controller.quorum.bootstrap.servers=$5
listeners=$listeners
advertised.listeners=$listeners
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$1/data

auto.create.topics.enable=false
default.replication.factor=$copies
min.insync.replicas=$in_sync
offsets.topic.num.partitions=4
offsets.topic.replication.factor=$copies
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=$copies
transaction.state.log.min.isr=$in_sync
share.coordinator.state.topic.num.partitions=4
share.coordinator.state.topic.replication.factor=$copies
share.coordinator.state.topic.min.isr=$in_sync

# The first member of a group waits for no others.
group.initial.rebalance.delay.ms=0
# A killed node is replaced after this long, and may itself come back no sooner; Kafka's default is 9 seconds.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500

num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=4194304
PROPERTIES
}

# The log is read from line SINCE + 1, because earlier lives of the node wrote into it too.
await_start() { # DIR NODE SINCE PID
  local tries=0
  until tail -n "+$(($3 + 1))" "$1/$2/log" 2>/dev/null | grep -q "Kafka Server started"; do
    if ! kill -0 "$4" 2>/dev/null || ((++tries > 600)); then
      tail -n 20 "$1/$2/log" >&2
      echo "kafka.sh: node $2 did not start; its log is $1/$2/log" >&2
      return 1
    fi
    sleep 0.1
  done
}

run() { # DIR NODE
  local arguments
  jvm_arguments
  exec "$java" "${arguments[@]}" kafka.Kafka "$1/$2/server.properties"
}

up() { # DIR CLIENT:CONTROLLER ...
  local directory=$1 node since=() bootstrap=""
  [[ -f $directory/formatted ]] || format "$@"
  for node in $(nodes "$directory"); do
    since[node]=$(wc -l <"$directory/$node/log")
    nohup "${BASH_SOURCE[0]}" run "$directory" "$node" >>"$directory/$node/log" 2>&1 </dev/null &
    echo $! >"$directory/$node/pid"
  done
  for node in $(nodes "$directory"); do
    await_start "$directory" "$node" "${since[node]}" "$(<"$directory/$node/pid")"
    bootstrap+=${bootstrap:+,}$(sed -n 's#^listeners=PLAINTEXT://\([^,]*\),.*#\1#p' "$directory/$node/server.properties")
  done
  echo "$bootstrap"
}

down() { # DIR
  local node pid
  for node in $(nodes "$1"); do
    [[ ! -f $1/$node/pid ]] || kill "$(<"$1/$node/pid")" 2>/dev/null || true
  done
  for node in $(nodes "$1"); do
    [[ -f $1/$node/pid ]] || continue
    pid=$(<"$1/$node/pid")
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    rm "$1/$node/pid"
  done
}

nodes() { # DIR
  local file
  for file in "$1"/*/server.properties; do basename "$(dirname "$file")"; done
}

absolute() {
  mkdir -p "$1" && cd "$1" && pwd
}

command=${1:-}
shift || true
case $command/$# in
  fetch/0) fetch ;;
  up/[1-9]*) fetch && up "$(absolute "$1")" "${@:2}" ;;
  down/1) down "$(absolute "$1")" ;;
  format/[1-9]*) fetch && format "$(absolute "$1")" "${@:2}" ;;
  run/2) fetch && run "$(absolute "$1")" "$2" ;;
  tool/[1-9]*) fetch && tool "$@" ;;
  *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2 && exit 64 ;;
esac
